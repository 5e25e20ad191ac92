"""SIGTERM and SIGHUP end a command in order: nothing temporary stays behind, and the exit code tells the signal."""

from __future__ import annotations

import signal
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from pymdc.cli.endings import ends_in_order
from pymdc.cli.failures import Code, Failure

from ...bridges import LONG, RunningBridge
from .holder import Holder, Terminal, Valve

SIGNALS = [(signal.SIGTERM, 143), (signal.SIGHUP, 129)]


@pytest.fixture
def temporary(tmp_path: Path) -> Path:
    (tmp_path / "temporary").mkdir()
    return tmp_path / "temporary"


@pytest.fixture
def slow(bridge: RunningBridge) -> Iterator[Valve]:
    """A way to the bridge on which a large file stops."""
    valve = Valve(bridge, down=300_000)
    yield valve
    valve.close()


def wait_for_file(process: subprocess.Popen[bytes], folder: Path, name: str) -> None:
    """Wait until a file is below a folder."""
    for _ in range(int(LONG * 100)):
        if list(folder.rglob(name)):
            return
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(0.01)
    pytest.fail(f"{name} did not come")


@pytest.mark.parametrize(("number", "code"), SIGNALS)
@pytest.mark.parametrize(
    "command", [["cat", "storj://photos/large"], ["cp", "storj://photos/large", "storj://copies/"]]
)
def test_a_download_into_a_temporary_file_is_removed(
    holder: Holder, slow: Valve, temporary: Path, command: list[str], number: int, code: int
) -> None:
    holder.bucket("photos", large=bytes(3_000_000))
    holder.bucket("copies")
    process = holder.start(*command, variables={"TMPDIR": str(temporary), "STORJ_BRIDGE": slow.url})
    wait_for_file(process, temporary, "whole")
    process.send_signal(number)
    process.send_signal(number)  # as `timeout` does
    _, error = process.communicate(timeout=LONG)
    assert process.returncode == code, error
    assert error.startswith(b"Error: interrupted. 0 of 1 files are done.")
    assert list(temporary.iterdir()) == []


@pytest.mark.parametrize(("number", "code"), SIGNALS)
def test_standard_input_that_is_kept_is_removed(holder: Holder, temporary: Path, number: int, code: int) -> None:
    holder.bucket("photos")
    process = holder.start("put", "-", "storj://photos/x", stdin=subprocess.PIPE, variables={"TMPDIR": str(temporary)})
    wait_for_file(process, temporary, "input")
    process.send_signal(number)
    _, error = process.communicate(timeout=LONG)
    assert (process.returncode, error) == (code, b"Error: interrupted.\n")
    assert list(temporary.iterdir()) == []


def test_a_terminal_that_is_closed_ends_a_command_in_order(holder: Holder, slow: Valve, temporary: Path) -> None:
    holder.bucket("photos", large=bytes(3_000_000))
    holder.bucket("copies")
    command = ("cp", "storj://photos/large", "storj://copies/")
    terminal = Terminal(holder, *command, variables={"TMPDIR": str(temporary), "STORJ_BRIDGE": slow.url})
    wait_for_file(terminal.process, temporary, "whole")
    terminal.hang_up()
    assert terminal.process.wait(LONG) == 129
    assert list(temporary.iterdir()) == []


def putting(holder: Holder, temporary: Path, ignored: signal.Signals) -> subprocess.Popen[bytes]:
    """Start `put -`, with a signal ignored by its parent, and wait until it reads."""
    holder.bucket("photos")
    process = holder.start(
        "put",
        "-",
        "storj://photos/x",
        stdin=subprocess.PIPE,
        variables={"TMPDIR": str(temporary)},
        preexec_fn=lambda: signal.signal(ignored, signal.SIG_IGN),
    )
    wait_for_file(process, temporary, "input")
    return process


def test_a_signal_that_the_parent_ignores_is_ignored(holder: Holder, temporary: Path) -> None:
    """As under `nohup`."""
    process = putting(holder, temporary, ignored=signal.SIGHUP)
    process.send_signal(signal.SIGHUP)
    out, _ = process.communicate(b"content", timeout=LONG)
    assert (process.returncode, out) == (0, b"uploaded - to storj://photos/x (7 B)\n")


def test_ctrl_c_that_is_ignored_does_not_keep_sigterm_from_ending(holder: Holder, temporary: Path) -> None:
    """A shell lets a program in the background ignore Ctrl+C."""
    process = putting(holder, temporary, ignored=signal.SIGINT)
    process.terminate()
    process.communicate(timeout=LONG)
    assert process.returncode == 143


def test_in_this_process_the_signal_becomes_a_failure_and_its_handler_goes() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with ends_in_order():
        assert signal.getsignal(signal.SIGTERM) != before
    assert signal.getsignal(signal.SIGTERM) == before
    for interrupt in (signal.default_int_handler, signal.SIG_IGN):
        kept = signal.signal(signal.SIGINT, interrupt)
        try:
            with pytest.raises(Failure, match="interrupted") as caught, ends_in_order():
                signal.raise_signal(signal.SIGTERM)
        finally:
            signal.signal(signal.SIGINT, kept)
            for number in (signal.SIGTERM, signal.SIGHUP):
                signal.signal(number, signal.SIG_DFL)
        assert caught.value.exit_code == Code.TERMINATED


def test_other_failures_keep_their_codes() -> None:
    with pytest.raises(Failure, match="no such bucket") as caught, ends_in_order():
        raise Failure("no such bucket", Code.NOT_FOUND)
    assert caught.value.exit_code == Code.NOT_FOUND


def test_a_thread_that_is_not_the_main_one_changes_no_handler() -> None:
    found = []

    def look() -> None:
        with ends_in_order():
            found.append(signal.getsignal(signal.SIGTERM))

    thread = threading.Thread(target=look)
    thread.start()
    thread.join(LONG)
    assert found == [signal.SIG_DFL]
