"""A job: one running call. It can be cancelled, may have a time limit, and reports its progress."""

from __future__ import annotations

import errno
import time
from collections.abc import Callable
from concurrent.futures import CancelledError

__all__ = ["Job", "Progress", "ProgressCallback"]

ProgressCallback = Callable[[int, "int | None"], object]
"""Takes how many bytes are done, and how many there are in all, or `None` if that is not known."""

_PROGRESS_SECONDS = 0.05  # twenty reports a second: smooth to the eye, and no burden on a window's loop


class Job:
    """One running call, or a part of one: whether it was cancelled, and whether it can still be stopped.

    The first call of `cancel()` or `commit()` decides, and nothing changes that later. So the result of `cancel()` is
    always true. Both may be called from any thread, and from a signal handler.

    Arguments:
        deliver: runs a function of no arguments where callbacks belong.
        whole: the work that this is a part of; a part stops when the whole is cancelled.

    Attributes:
        for_window: whether the results go to a window's thread, which must get a core at once.
    """

    def __init__(self, deliver: Callable[[Callable[[], object]], None], whole: Job | None = None) -> None:
        self.deliver = deliver
        self._whole = whole
        self.for_window: bool = whole is not None and whole.for_window
        self._fate: dict[str, bool] = {}  # {"cancelled": True or False}: set once, by setdefault(), which is atomic
        self._abandoned = False
        self._end: float | None = None

    def part(self) -> Job:
        """Return a job for a part of this work. It can be cancelled alone."""
        return Job(self.deliver, self)

    def cancel(self) -> bool:
        """Ask the work to stop. It stops at its next `check`.

        Returns:
            Whether it will stop: `False` after the work has called `commit`.
        """
        return self._fate.setdefault("cancelled", True)

    def abandon(self) -> None:
        """Make the work stop at its next `check`, even after `commit`: the client is being closed."""
        self._abandoned = True
        self.cancel()

    def end_after(self, seconds: float | None) -> None:
        """Make the work stop when so many seconds have passed; `None` for no limit."""
        self._end = None if seconds is None else time.monotonic() + seconds

    def check(self) -> None:
        """Raise if the work was cancelled, or if its time is up.

        Raises:
            concurrent.futures.CancelledError: stop.
            TimeoutError: stop: the limit of `end_after` has passed.
        """
        if self._abandoned or self._fate.get("cancelled"):
            raise CancelledError("the call was cancelled")
        if self._end is not None and time.monotonic() >= self._end:
            raise TimeoutError(errno.ETIMEDOUT, "the call took longer than its limit for the whole")
        if self._whole is not None:
            self._whole.check()

    def commit(self) -> None:
        """Note that the work can no longer be stopped. From now on `cancel` returns `False`.

        The work calls this just before a step that cannot be undone: before the last byte of an upload is sent, or
        before a finished file gets its name. A second call does nothing. If a part commits, the whole commits too.

        Raises:
            concurrent.futures.CancelledError: it was cancelled before: do not take that step.
        """
        if self._whole is not None:
            self._whole.commit()
        if self._fate.setdefault("cancelled", False) or self._abandoned:
            raise CancelledError("the call was cancelled")


class Progress:
    """Reports to a callback how far a transfer is: never backwards, not too often, and always the last byte."""

    def __init__(self, job: Job, callback: ProgressCallback | None, total: int | None) -> None:
        self._job = job
        self._callback = callback
        self._total = total
        self._told = -1
        self._next = 0.0

    def reached(self, done: int, *, last: bool = False) -> None:
        """Report that `done` bytes are done; `last` means that these are all."""
        callback, now, total = self._callback, time.monotonic(), self._total
        if total is not None and not last:
            done = min(done, total - 1)  # the bytes may still turn out to be too many, or wrong
        if callback is None or (not last and (done <= self._told or now < self._next)):
            return
        self._told, self._next = done, now + _PROGRESS_SECONDS
        self._job.deliver(lambda: callback(done, done if last else total))
