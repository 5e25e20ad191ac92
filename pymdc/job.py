"""What running work knows of whoever asked for it: whether they still want it, and how to tell them how far it is."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import CancelledError

__all__ = ["Job", "Progress", "ProgressCallback"]

ProgressCallback = Callable[[int, "int | None"], object]
"""Takes how many bytes are done, and how many there are in all, or `None` where that is not known."""

_PROGRESS_SECONDS = 0.05  # twenty reports a second: smooth to the eye, and no burden on a window's loop


class Job:
    """One piece of running work.

    Arguments:
        deliver: runs a function of no arguments where callbacks belong.
    """

    def __init__(self, deliver: Callable[[Callable[[], object]], None]) -> None:
        self.deliver = deliver
        self._cancelled = False

    def cancel(self) -> None:
        """Ask the work to stop. It does at its next `check`."""
        self._cancelled = True

    def check(self) -> None:
        """Go on, or stop where that was asked for.

        Raises:
            concurrent.futures.CancelledError: stop.
        """
        if self._cancelled:
            raise CancelledError("the call was cancelled")


class Progress:
    """Tells a callback how far a transfer is: never backwards, the last byte always, and else not too often."""

    def __init__(self, job: Job, callback: ProgressCallback | None, total: int | None) -> None:
        self._job = job
        self._callback = callback
        self._total = total
        self._told = -1
        self._next = 0.0

    def reached(self, done: int, *, last: bool = False) -> None:
        """Tell that `done` bytes are done; `last` says that these are all."""
        callback, now = self._callback, time.monotonic()
        if callback is None or done <= self._told or (now < self._next and not last):
            return
        self._told, self._next = done, now + _PROGRESS_SECONDS
        total = done if last else self._total
        self._job.deliver(lambda: callback(done, total))
