"""`pymdc put` and `pymdc cat`: standard input and standard output."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from pymdc import unwrap
from pymdc.cli.failures import Failure, ended
from pymdc.cli.questions import agree
from pymdc.cli.streams import kept_input, write_out

from ...bridges import LONG
from .holder import Holder, Terminal, names


@pytest.mark.parametrize("command", [["put", "-", "photos/in/x.bin"], ["cp", "-", "storj://photos/in/x.bin"]])
def test_standard_input_becomes_a_file(holder: Holder, command: list[str]) -> None:
    bucket = holder.bucket("photos")
    content = bytes(range(256)) * 20_000
    process = holder.start(*command, stdin=subprocess.PIPE)
    out, error = process.communicate(content, timeout=LONG)
    assert (process.returncode, out) == (0, b"uploaded - to storj://photos/in/x.bin (5.1 MB)\n"), error
    (file,) = unwrap(bucket.files.list())
    assert file["filename"] == "in／x.bin"
    assert unwrap(bucket.files.download(file)) == content


def test_put_sends_one_file(holder: Holder) -> None:
    bucket = holder.bucket("photos")
    holder.written(a=b"a", b=b"b")
    holder.done("put", "a", "storj://photos/")
    holder.done("put", "b", "photos/c")
    assert names(bucket) == ["a", "c"]


def test_standard_input_replaces_a_file_only_if_asked_to(holder: Holder) -> None:
    bucket = holder.bucket("photos", x=b"old")
    assert "There is storj://photos/x, with other content" in holder.failed(1, "put", "-", "photos/x", input=b"new")
    holder.done("put", "-", "photos/x", "--exists", "replace", input=b"new")
    (file,) = unwrap(bucket.files.list())
    assert unwrap(bucket.files.download(file)) == b"new"


@pytest.mark.parametrize("command", [["cat"], ["cp"]])
def test_files_are_written_to_standard_output_and_nothing_else_is(holder: Holder, command: list[str]) -> None:
    holder.bucket("photos", a=bytes(range(256)) * 40_000, b=b"b")
    to = ["-"] if command == ["cp"] else []
    process = holder.start(*command, "storj://photos/a", "storj://photos/b", *to)
    out, error = process.communicate(timeout=LONG)
    assert (process.returncode, error) == (0, b"")
    assert out == bytes(range(256)) * 40_000 + b"b"


def test_a_pipe_that_closes_early_ends_a_command_without_a_message(holder: Holder) -> None:
    holder.bucket("photos", a=b"x" * 3_000_000)
    for number in range(3):
        holder.bucket(f"bucket {number}")
    for command in (["cat", "photos/a"], ["ls"]):
        process = holder.start(*command)
        assert process.stdout is not None
        assert process.stdout.read(1)
        process.stdout.close()
        assert process.stderr is not None
        assert process.stderr.read() == b""
        process.stderr.close()
        assert process.wait(LONG) in ((0, 141) if command == ["ls"] else (141,))


def test_temporary_files_are_removed(holder: Holder, tmp_path: Path) -> None:
    holder.bucket("photos", a=b"a")
    (tmp_path / "temporary").mkdir()
    variables = {"TMPDIR": str(tmp_path / "temporary")}
    for command in (["cat", "photos/a"], ["put", "-", "photos/b"], ["cat", "photos/none"]):
        holder.start(*command, variables=variables).communicate(timeout=LONG)
    assert list((tmp_path / "temporary").iterdir()) == []


@pytest.mark.parametrize(
    ("code", "arguments", "words"),
    [
        (2, ["cat", "photos"], "storj://photos/ is a bucket: name a file in it"),
        (4, ["cat", "photos/none"], "there is no file storj://photos/none"),
        (2, ["put", "-", "photos/in/"], "standard input has no name: write storj://photos/in/NAME"),
        (2, ["put", "in", "photos/"], "in is a folder"),
    ],
)
def test_each_mistake_has_one_line_that_helps(holder: Holder, code: int, arguments: list[str], words: str) -> None:
    holder.bucket("photos")
    holder.written(**{"in/a": b"a"})
    assert words in holder.failed(code, *arguments)


def test_standard_input_is_sent_by_this_process_too(holder: Holder) -> None:
    bucket = holder.bucket("photos")
    holder.done("cp", "-", "storj://photos/x", input=b"content")
    (file,) = unwrap(bucket.files.list())
    assert (file["filename"], file["size"]) == ("x", 7)


def test_content_follows_content_in_the_order_of_the_addresses(holder: Holder) -> None:
    holder.bucket("photos", a=b"first ", b=b"second")
    assert holder.done("cat", "photos/a", "photos/b", "photos/a") == "first secondfirst "
    assert "1 of 1" not in holder.done("cp", "storj://photos/a", "-")


def test_a_missing_standard_input_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", None)
    with pytest.raises(Failure, match="there is no standard input or output to use"), kept_input():
        pytest.fail("there is nothing to keep")


def test_a_missing_standard_output_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """`sys.stdout` cannot tell: it is replaced by a stream that keeps nothing."""
    monkeypatch.setattr(sys, "__stdout__", None)
    nothing: Any = None  # nothing is fetched
    with pytest.raises(Failure, match="there is no standard input or output to use"):
        write_out(nothing, nothing, [], jobs=1, retries=1)


@pytest.mark.parametrize(
    ("typed", "code", "out", "error"),
    [
        ("put - photos/x <&-", 2, "", "Error: there is no standard input or output to use\n"),
        ("rm 'photos/*' <&-", 2, "", "Error: there is no terminal to ask on: add --yes if you mean it\n"),
        ("ls photos <&-", 0, "1\ta\n1\tb\n", ""),
        ("ls photos >&-", 0, "", ""),
        ("cat photos/a >&-", 2, "", "Error: there is no standard input or output to use\n"),
        ("cp storj://photos/a - >&-", 2, "", "Error: there is no standard input or output to use\n"),
        ("cp storj://photos/a storj://photos/b here/ >&-", 0, "", "2 files, 2 B in "),
        ("cp storj://photos/a here/ 2>&-", 0, "downloaded storj://photos/a to here/a (1 B)\n", ""),
        ("ls nothing 2>&-", 4, "", ""),
        ("ls nothing >&- 2>&- <&-", 4, "", ""),
    ],
)
def test_commands_work_with_streams_that_the_shell_has_closed(
    holder: Holder, typed: str, code: int, out: str, error: str
) -> None:
    holder.bucket("photos", a=b"a", b=b"b")
    done = subprocess.run(
        ["sh", "-c", f"exec {sys.executable} -W error -m pymdc {typed}"],
        env={**os.environ, **holder.variables},
        capture_output=True,
        text=True,
        timeout=LONG,
        check=False,
    )
    assert (done.returncode, done.stdout) == (code, out)
    assert done.stderr.startswith(error)
    assert "Traceback" not in done.stderr


def test_missing_streams_of_this_process_are_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("stdin", "stdout", "stderr"):
        monkeypatch.setattr(sys, name, None)
    with pytest.raises(SystemExit) as exit_, ended():
        agree("Really?", False)
    streams = (sys.stdout, sys.stderr)
    assert exit_.value.code == 2
    assert [stream.name for stream in streams] == [os.devnull] * 2
    for stream in streams:
        stream.close()


def test_bars_are_drawn_while_a_file_goes_to_another_program(holder: Holder) -> None:
    holder.bucket("photos", a=b"a" * 1000)
    terminal = Terminal(holder, "cat", "photos/a", stdout=subprocess.PIPE)
    stdout = terminal.process.stdout
    assert stdout is not None
    assert stdout.read() == b"a" * 1000
    stdout.close()
    assert terminal.end() == 0
    assert "100%" in terminal.text or "0%" in terminal.text
