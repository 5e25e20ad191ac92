"""A real terminal without a person: run a program in it, type, and wait for its output."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import termios
import time
from collections.abc import Iterator, Mapping, Sequence

from ..bridges import LONG

_ESCAPES = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]|\x1b\][^\x07]*\x07|\x1b[=>()][0-9A-B]?")


class Terminal:
    """A program in a terminal."""

    def __init__(self, process: subprocess.Popen[bytes], descriptor: int) -> None:
        self.process = process
        self._descriptor = descriptor
        self.shown = ""

    def type(self, text: str) -> None:
        """Type a text."""
        os.write(self._descriptor, text.encode())

    def wait_for(self, pattern: str) -> str:
        """Wait until a pattern is shown, and return all that is shown up to then, without escape sequences."""
        end = time.monotonic() + LONG
        while not re.search(pattern, text := self.text):
            if not self._read(end):
                raise AssertionError(f"{pattern!r} is not in {text!r}")
        return text

    def wait(self) -> int:
        """Read until the program ends, and return its exit code."""
        end = time.monotonic() + LONG
        while self._read(end):
            pass
        return self.process.wait(LONG)

    def interrupt(self) -> None:
        """Press Ctrl+C."""
        self.type("\x03")

    @property
    def text(self) -> str:
        """What is shown, without escape sequences."""
        return _ESCAPES.sub("", self.shown)

    def _read(self, end: float) -> bool:
        ready, _, _ = select.select([self._descriptor], [], [], max(0, end - time.monotonic()))
        if not ready:
            return False
        try:
            data = os.read(self._descriptor, 65536)
        except OSError:  # the program has ended
            return False
        self.shown += data.decode(errors="replace")
        return bool(data)


@contextlib.contextmanager
def terminal(command: Sequence[str], environment: Mapping[str, str], columns: int = 80) -> Iterator[Terminal]:
    """Run a program in a terminal of so many columns, which is also its controlling terminal."""
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))

    def take() -> None:
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)

    process = subprocess.Popen(
        command,
        stdin=slave,
        stdout=slave,
        stderr=slave,
        env={**environment, "TERM": "xterm-256color"},
        start_new_session=True,
        preexec_fn=take,
    )
    os.close(slave)
    try:
        yield Terminal(process, master)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        os.close(master)
