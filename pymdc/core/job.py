"""A job: one running call. It can be cancelled, it may have a time limit, and it tells its progress."""

from __future__ import annotations

import errno
import time
from collections.abc import Callable
from concurrent.futures import CancelledError

__all__ = ["Job", "Progress", "ProgressCallback"]

ProgressCallback = Callable[[int, "int | None"], object]
"""Takes how many bytes are done, and how many there are in all, or `None` where that is not known."""

_PROGRESS_SECONDS = 0.05  # twenty reports a second: smooth to the eye, and no burden on a window's loop


class Job:
    """One running call, or a part of one: whether it was cancelled, and whether it can still be stopped.

    Whichever comes first decides, and for good: `cancel()`, or the work's own `commit()`. So whoever cancelled is told
    the truth about the value. Both may be called from any thread, from a signal handler too.

    Arguments:
        deliver: runs a function of no arguments where callbacks belong.
        whole: the work that this is a part of; a part stops when the whole is cancelled.

    Attributes:
        for_window: whether a scheduler brings its results to a thread of the program, which must not wait for a core.
    """

    def __init__(self, deliver: Callable[[Callable[[], object]], None], whole: Job | None = None) -> None:
        self.deliver = deliver
        self._whole = whole
        self.for_window: bool = whole is not None and whole.for_window
        self._fate: dict[str, bool] = {}  # {"cancelled": True or False}: set once, by setdefault(), which is atomic
        self._abandoned = False
        self._end: float | None = None

    def part(self) -> Job:
        """Return the job of a part of this work, which can be cancelled by itself."""
        return Job(self.deliver, self)

    def cancel(self) -> bool:
        """Ask the work to stop. It does at its next `check`.

        Returns:
            Whether it will stop: `False` once the work has committed itself.
        """
        return self._fate.setdefault("cancelled", True)

    def abandon(self) -> None:
        """Make the work stop at its next `check`, even where it has committed itself: the client is being closed."""
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
        """Say that from here on the work cannot be stopped any more; `cancel` returns `False` from then on.

        The work calls it just before a step that cannot be taken back: before the last byte of an upload is sent, or
        before a finished file gets its name. A second call does nothing. When a part commits itself, so does the whole.

        Raises:
            concurrent.futures.CancelledError: it was cancelled before: stop, without that step.
        """
        if self._whole is not None:
            self._whole.commit()
        if self._fate.setdefault("cancelled", False) or self._abandoned:
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
        callback, now, total = self._callback, time.monotonic(), self._total
        if total is not None and not last:
            done = min(done, total - 1)  # the bytes may still turn out to be too many, or wrong
        if callback is None or (not last and (done <= self._told or now < self._next)):
            return
        self._told, self._next = done, now + _PROGRESS_SECONDS
        self._job.deliver(lambda: callback(done, done if last else total))
