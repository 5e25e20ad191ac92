"""Run a call: it blocks and returns its value, or it runs on a thread pool and passes its value to a callback."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from .delivery import Callback, Scheduler, check_callable, delivery
from .handle import Handle, value_of
from .job import Job
from .pool import Pool
from .under_way import UnderWay

__all__ = ["Callback", "Dispatcher", "Handle", "Scheduler"]

_CLOSE_SECONDS = 1.0  # how long to wait for calls that were told to stop


class Dispatcher:
    """Runs calls: at once in the caller's thread, or on at most `workers` threads.

    The process does not end before all calls are done. Callbacks may start calls after the main thread has ended, and
    these are done as well.
    """

    def __init__(self, workers: int) -> None:
        self._pool = Pool(workers)
        self._calls = UnderWay()

    def run(self, call: Callable[[Job], Any], callback: Callback | None, scheduler: Scheduler | None) -> Any:
        """Return the value of `call(job)` if `callback` is `None`; else return a `Handle` and call `callback` with it.

        If `call` raises, the exception is its value. The callback is called exactly once, by a thread of the pool or
        through the scheduler. Its own exceptions go to `threading.excepthook`, or to the scheduler's `report`.

        Raises:
            TypeError: the callback cannot be called, or is a coroutine function.
        """
        if callback is None:
            return self._block(call, scheduler)
        check_callable(callback, "callback")
        handle = Handle(call, callback, scheduler, self._pool, self._calls)
        self._calls.began(handle)
        self._pool.submit(handle)
        return handle

    def finish(self, *, cancel: bool) -> None:
        """Wait for the running calls and their callbacks, but not for those of this thread.

        Arguments:
            cancel: end the calls first, and wait a second at most, even if a callback takes longer.
        """
        if cancel:
            self._calls.abandon(_CLOSE_SECONDS)
        else:
            self._calls.finish()

    def reset_after_fork(self) -> None:
        """Begin anew in the child of a fork: the running calls belong to the parent."""
        calls = self._calls.calls
        self._pool.reset_after_fork()
        self._calls.reset_after_fork()
        for call in calls:
            if isinstance(call, Handle):
                call.leave_to_parent()

    def _block(self, call: Callable[[Job], Any], scheduler: Scheduler | None) -> Any:
        blocking = _Blocking(Job(delivery(scheduler, Exception)))
        try:
            self._calls.began(blocking)
            # Ctrl+C is raised in the program, also if it comes in a progress callback.
            return value_of(call, blocking.job, Exception)
        finally:
            self._calls.ended(blocking)


class _Blocking:
    """A call that its caller waits for."""

    def __init__(self, job: Job) -> None:
        self.job = job
        self.thread: int | None = threading.get_ident()

    def end_soon(self) -> None:
        """Do nothing: the call is running already."""
