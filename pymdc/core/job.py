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
        whole: the work that this is a part of; a part stops when the whole is cancelled.
    """

    def __init__(self, deliver: Callable[[Callable[[], object]], None], whole: Job | None = None) -> None:
        self.deliver = deliver
        self._whole = whole
        self._cancelled = False

    def part(self) -> Job:
        """Return the job of a part of this work, which can be cancelled by itself."""
        return Job(self.deliver, self)

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
        if self._whole is not None:
            self._whole.check()


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
        callback, now, total = self._callback, time.monotonic(), self._total
        if total is not None and not last:
            done = min(done, total - 1)  # what is there may yet turn out to be too much, or wrong
        if callback is None or (not last and (done <= self._told or now < self._next)):
            return
        self._told, self._next = done, now + _PROGRESS_SECONDS
        self._job.deliver(lambda: callback(done, done if last else total))
