"""Check what a call leaves behind: open files, threads, memory, and lines in a log."""

from __future__ import annotations

import gc
import logging
import os
import threading
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

__all__ = ["Lateness", "Logs", "memory_bound", "nothing_left", "words_of"]

_SELF = Path("/proc/self")
_LEAVE_SECONDS = 5.0  # how long a thread may take to end that has nothing left to do
_TICK_SECONDS = 0.01
_FARMERS = "websockets.server"  # the tests' own farmer logs what it was asked


def _open_files() -> dict[str, str]:
    found = {}
    folder = f"{_SELF}/fd"
    for name in os.listdir(folder) if _SELF.exists() else ():  # noqa: PTH208 - thousands of times
        with suppress(OSError):  # that of the listing itself
            found[name] = os.readlink(f"{folder}/{name}")  # noqa: PTH115
    return found


def _left(files: dict[str, str], threads: set[threading.Thread]) -> list[str]:
    now = _open_files()
    more = [f"{name} {what}" for name, what in now.items() if files.get(name) != what and not what.startswith("/proc")]
    return more + [str(thread) for thread in set(threading.enumerate()) - threads]


@contextmanager
def nothing_left() -> Iterator[None]:
    """Check that no file and no thread of this context is left at its end."""
    files, threads = _open_files(), set(threading.enumerate())
    yield
    end = time.monotonic() + _LEAVE_SECONDS
    while (left := _left(files, threads)) and time.monotonic() < end:
        for thread in set(threading.enumerate()) - threads:
            with suppress(RuntimeError):  # it is being started
                thread.join(0.05)
        gc.collect()  # the tests' own farmer leaves a selector in a circle
    assert not left, f"left behind: {left}"


def _in_status(name: str) -> int:
    for line in (_SELF / "status").read_text().splitlines():
        if line.startswith(name):
            return int(line.split()[1])
    return 0


@contextmanager
def memory_bound(mib: int) -> Iterator[None]:
    """Check that the process's memory never grows by more than that, on systems that tell."""
    reset = _SELF / "clear_refs"
    if not os.access(reset, os.W_OK):
        yield
        return
    reset.write_text("5")  # the peak is that from now on
    before = _in_status("VmRSS")
    yield
    grown = (_in_status("VmHWM") - before) // 1024
    assert grown <= mib, f"{grown} MiB more at the peak"


class Lateness:
    """How late a busy machine runs this process, while the context is open: it adds that to every bound of time.

    A thread sleeps for a moment again and again. What it oversleeps, beyond the time for which the process itself was
    busy, the machine gave to others.
    """

    def __init__(self) -> None:
        self._told: list[tuple[float, float]] = []
        self._end = threading.Event()

    def since(self, began: float) -> float:
        """Return how late the process has been run since then, by `time.monotonic()`, in seconds."""
        return sum(late for at, late in list(self._told) if at > began)

    def __enter__(self) -> Lateness:
        self._thread = threading.Thread(target=self._watch)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._thread.join()

    def _watch(self) -> None:
        at, busy = time.monotonic(), time.process_time()
        while not self._end.wait(_TICK_SECONDS):
            now, used = time.monotonic(), time.process_time()
            late = now - at - _TICK_SECONDS - (used - busy)
            if late > _TICK_SECONDS:
                self._told.append((now, late))
            at, busy = now, used


class Logs(logging.Handler):
    """All log lines while the context is open, of every level and every logger."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.lines: list[str] = []
        self._formatter = logging.Formatter()

    def emit(self, record: logging.LogRecord) -> None:
        if record.name != _FARMERS:
            self.lines.append(self._formatter.format(record))

    def __enter__(self) -> Logs:
        root = logging.getLogger()
        self._before = root.level
        root.setLevel(logging.DEBUG)
        root.addHandler(self)
        return self

    def __exit__(self, *_: object) -> None:
        root = logging.getLogger()
        root.removeHandler(self)
        root.setLevel(self._before)


def words_of(value: Any) -> str:
    """Return every text of a value: `repr` and `str` of itself, of its causes and of the variables of its frames."""
    words = [repr(value), str(value)]
    if isinstance(value, BaseException):
        words += traceback.TracebackException.from_exception(value, capture_locals=True).format()
        seen: set[int] = set()
        error: BaseException | None = value
        while error is not None and id(error) not in seen:
            seen.add(id(error))
            words += [repr(error), str(error), repr(vars(error))]
            error = error.__cause__ or error.__context__
    return "\n".join(words)
