"""The progress of transfers: bars on a terminal, lines elsewhere."""

from __future__ import annotations

import hashlib
import json
import os
import pty
import re
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import pytest
from rich.cells import cell_len

from pymdc import unwrap
from pymdc.cli.failures import Failure
from pymdc.cli.output import Output
from pymdc.cli.plans import Planned
from pymdc.cli.progress import Bars, Lines, conclude
from pymdc.cli.results import Result, Summary
from pymdc.cli.running import carry_out
from pymdc.cli.transfers import BucketFiles, Download, Removal, Upload
from pymdc.core.hashes import content_hash

from ...bridges import LONG, RunningBridge
from .holder import Holder, Terminal, Valve, names

MANY = 12_000_000  # more than a socket's buffers take


@pytest.fixture
def valve(bridge: RunningBridge) -> Iterator[Callable[..., Valve]]:
    made: list[Valve] = []

    def make(**limits: int) -> Valve:
        made.append(Valve(bridge, **limits))
        return made[-1]

    yield make
    for each in made:
        each.close()


@pytest.mark.parametrize("columns", [60, 80, 200])
def test_on_a_terminal_each_file_has_a_bar_and_the_whole_has_one(
    holder: Holder, valve: Callable[..., Valve], columns: int
) -> None:
    bucket = holder.bucket("photos")
    files = ["a.jpg", "b [red]c.jpg", "l" * 220 + ".jpg", "שלום.jpg", "e\x1b]0;evil\x07\x1b[2J\u202egpj.exe"]
    holder.written(**{name: (b"%d" % number) * MANY for number, name in enumerate(files)})
    slow = valve(up=4_000_000)
    command = ["cp", "--jobs", "5", *files, "storj://photos/"]
    terminal = Terminal(holder, *command, columns=columns, variables={"STORJ_BRIDGE": slow.url})
    terminal.until("[1-9][0-9]?%")
    terminal.until(r"e\\x1b")
    slow.open()
    assert terminal.end() == 0
    assert len(names(bucket)) == 5
    text = "\n".join(terminal.lines)
    for shown in ("0 of 5 files", "a.jpg", "b [red]c.jpg", r"e\x1b]0;evil", "lll", "…"):
        assert shown in text
    assert re.search(r"[0-9] [kM]?B(ytes)?/s", text)
    assert not any(harmful in terminal.text for harmful in ("evil\x07", "\x1b[2J", "\u202e"))
    assert max(map(cell_len, terminal.lines)) <= columns
    assert re.fullmatch(r"5 files, 60\.0 MB in [\d.]+ s \([\d.]+ [kMG]B/s\)", terminal.lines[-1])


def test_ctrl_c_on_a_terminal_ends_an_upload_and_says_how_to_go_on(holder: Holder, valve: Callable[..., Valve]) -> None:
    bucket = holder.bucket("photos")
    holder.written(film=b"x" * 30_000_000, small=b"small")
    slow = valve(up=5_000_000)
    terminal = Terminal(
        holder, "cp", "--jobs", "1", "small", "film", "storj://photos/", variables={"STORJ_BRIDGE": slow.url}
    )
    terminal.until("[1-9][0-9]%")
    terminal.press("\x03")
    assert terminal.end() == 130
    assert terminal.lines[-1] == "Error: interrupted. 1 of 2 files is done. To go on, run the same command again."
    assert "Traceback" not in terminal.text
    assert names(bucket) == ["small"]
    assert holder.type("cp", "small", "film", "storj://photos/").exit_code == 0
    assert names(bucket) == ["film", "small"]


def test_ctrl_c_ends_a_download_which_goes_on_the_next_time(holder: Holder, valve: Callable[..., Valve]) -> None:
    bucket = holder.bucket("photos", film=bytes(range(256)) * 200_000)
    slow = valve(down=12_000_000)
    command = ["cp", "storj://photos/film", "film"]
    terminal = Terminal(holder, *command, variables={"STORJ_BRIDGE": slow.url})
    terminal.until("[1-9][0-9]%")
    terminal.press("\x03")
    assert terminal.end() == 130
    assert terminal.lines[-1] == "Error: interrupted. 0 of 1 files are done. To go on, run the same command again."
    assert not (holder.folder / "film").exists()
    assert holder.type(*command).exit_code == 0
    assert (holder.folder / "film").read_bytes() == bytes(range(256)) * 200_000
    assert [path.name for path in holder.folder.iterdir()] == ["film"]
    unwrap(bucket.delete())


def test_without_a_terminal_each_file_that_is_done_has_a_line(holder: Holder) -> None:
    holder.bucket("photos")
    holder.written(a=b"a" * 1500, b=b"b")
    process = holder.start("cp", "a", "b", "missing", "storj://photos/")
    out, error = process.communicate(timeout=LONG)
    assert process.returncode == 7
    assert sorted(out.decode().splitlines()) == [
        "uploaded a to storj://photos/a (1.5 kB)",
        "uploaded b to storj://photos/b (1 B)",
    ]
    assert error.decode().splitlines() == ["There is no file missing.", "Error: 1 of 3 files failed, 2 are done."]


def test_json_gives_an_object_for_each_file(holder: Holder) -> None:
    holder.bucket("photos")
    holder.written(a=b"a", b=b"b")
    ran = holder.type("cp", "a", "missing", "storj://photos/", "--json")
    assert ran.exit_code == 7
    first, second = sorted(map(json.loads, ran.stdout.splitlines()), key=lambda each: str(each["source"]))
    assert first == {
        "transfer": "upload",
        "source": "a",
        "target": "storj://photos/a",
        "size": 1,
        "hash": content_hash(hashlib.sha256(b"a").hexdigest()),
    }
    assert second == {
        "transfer": "upload",
        "source": "missing",
        "target": "storj://photos/missing",
        "size": 0,
        "error": "There is no file missing.",
    }


def test_quiet_writes_only_errors(holder: Holder) -> None:
    holder.bucket("photos")
    holder.written(a=b"a", b=b"b")
    ran = holder.type("cp", "a", "b", "storj://photos/", "--quiet")
    assert (ran.exit_code, ran.output) == (0, "")
    ran = holder.type("cp", "a", "b", "missing", "storj://photos/", "--quiet")
    assert (ran.exit_code, ran.stdout) == (7, "")
    assert ran.stderr.splitlines()[0] == "There is no file missing."


def test_quiet_draws_no_bars(holder: Holder) -> None:
    holder.bucket("photos")
    holder.written(a=b"a")
    terminal = Terminal(holder, "cp", "a", "storj://photos/", "--quiet")
    assert (terminal.end(), terminal.text) == (0, "")


def test_a_terminal_that_cannot_move_its_cursor_gets_lines(holder: Holder) -> None:
    holder.bucket("photos")
    holder.written(a=b"a")
    terminal = Terminal(holder, "cp", "a", "storj://photos/", variables={"TERM": "dumb"})
    assert (terminal.end(), terminal.text) == (0, "uploaded a to storj://photos/a (1 B)\r\n")


def test_no_color_draws_bars_without_colours(holder: Holder) -> None:
    holder.bucket("photos")
    holder.written(a=b"a" * MANY)
    terminal = Terminal(holder, "cp", "a", "storj://photos/", variables={"NO_COLOR": "1"})
    assert terminal.end() == 0
    assert "a" in terminal.text
    assert not re.search(r"\x1b\[[0-9;]*(3|9)[0-7]m", terminal.text)


def test_lines_go_to_a_file_while_bars_are_on_the_terminal(holder: Holder) -> None:
    holder.bucket("photos")
    holder.written(a=b"a", b=b"b")
    terminal = Terminal(holder, "cp", "a", "b", "storj://photos/", stdout=subprocess.PIPE)
    stdout: Any = terminal.process.stdout
    assert len(stdout.read().splitlines()) == 2
    stdout.close()
    assert terminal.end() == 0
    assert "of 2 files" in terminal.text
    assert "uploaded" not in terminal.text


def test_verbose_tells_each_beginning_and_each_further_attempt(holder: Holder) -> None:
    holder.bucket("photos")
    holder.written(a=b"a")
    ran = holder.type("cp", "a", "storj://photos/", "--verbose")
    assert "upload: a to storj://photos/a" in ran.stderr


def test_one_file_that_fails_has_one_line_and_the_code_of_its_error(holder: Holder) -> None:
    holder.bucket("photos")
    assert holder.failed(4, "cp", "missing", "storj://photos/") == "Error: There is no file missing.\n"


def test_several_files_that_fail_in_one_way_have_the_code_of_that_failure(holder: Holder) -> None:
    holder.bucket("photos")
    said = holder.failed(4, "cp", "missing", "gone", "storj://photos/")
    assert said.splitlines()[-1] == "Error: 2 of 2 files failed, 0 are done."


class Screen:
    """A terminal in place of this process's standard error."""

    def __init__(self) -> None:
        self._ours, theirs = pty.openpty()
        self.file = os.fdopen(theirs, "w")
        self._pieces: list[bytes] = []
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def text(self) -> str:
        """Close the terminal, and return all that was written on it."""
        self.file.close()
        self._reader.join(LONG)
        os.close(self._ours)
        return b"".join(self._pieces).decode()

    def _read(self) -> None:
        with suppress(OSError):
            while piece := os.read(self._ours, 65536):
                self._pieces.append(piece)


@pytest.mark.parametrize(("columns", "bytes_shown"), [(60, False), (120, True)])
def test_bars_show_several_kinds_of_work_and_failures(
    holder: Holder, monkeypatch: pytest.MonkeyPatch, columns: int, bytes_shown: bool
) -> None:
    bucket = holder.bucket("photos", old=b"old", back=b"back")
    files = {file["filename"]: file for file in unwrap(bucket.files.list())}
    photos = BucketFiles("photos", bucket.files)
    holder.written(**{"a.txt": b"a" * 5000})
    monkeypatch.setenv("COLUMNS", str(columns))
    monkeypatch.setenv("TERM", "xterm")
    screen = Screen()
    monkeypatch.setattr(sys, "stderr", screen.file)
    planned = Planned(
        [
            Upload(holder.folder / "a.txt", photos, "a.txt", 5000),
            Upload(holder.folder / "missing", photos, "missing"),
            Download(photos, files["back"], holder.folder / "back"),
            Removal(photos, files["old"]),
        ]
    )
    with pytest.raises(Exception, match="1 of 4 files failed, 3 are done"):
        carry_out(Output(), planned, jobs=2, retries=0)
    shown = screen.text()
    for words in ("of 4 files", "a.txt", "back", "old", f"There is no file {holder.folder / 'missing'}"[:60]):
        assert words in shown.replace("\r\n", "")
    assert bool(re.search(r"/5\.0 (kB|bytes)", shown)) is bytes_shown
    assert names(bucket) == ["a.txt", "back"]


def test_bars_accept_late_progress_and_another_attempt(holder: Holder, capsys: pytest.CaptureFixture[str]) -> None:
    bucket = BucketFiles("photos", holder.bucket("photos").files)
    transfer = Upload(holder.folder / "a.txt", bucket, "a.txt", 10)
    bars = Bars([transfer], Lines(Output(verbose=True)))
    bars.begin(transfer)
    bars.again(Result(transfer, TimeoutError()), 0.5)
    bars.begin(transfer)
    bars.moved(transfer, 5)
    (task,) = bars.progress.tasks
    assert task.completed == 5
    bars.end(Result(transfer, {"hash": "00"}))
    bars.moved(transfer, 7)
    assert bars.progress.tasks == []
    said = capsys.readouterr()
    assert "The bridge did not answer in time. It is tried again in 0.5 s." in said.err
    assert said.out == f"uploaded {transfer.source} to storj://photos/a.txt (10 B)\n"


@pytest.mark.parametrize(("done", "words"), [(0, "0 of 3 files are done"), (1, "1 of 3 files is done")])
def test_an_interruption_says_how_far_it_came_and_how_to_go_on(done: int, words: str) -> None:
    with pytest.raises(Failure, match=f"interrupted. {words}. Do it again.") as failed:
        conclude(Output(), Summary(3, done, interrupted=True), "Do it again.")
    assert failed.value.exit_code == 130
