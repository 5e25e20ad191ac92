"""The dispatcher: a call either blocks and returns its value, or runs on a thread pool and hands it to a callback."""

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

_CLOSE_SECONDS = 1.0  # how long the end of calls that were told to stop is waited for


class Dispatcher:
    """Runs calls: at once in the caller's thread, or on at most `workers` threads.

    The process does not end before all calls are done, and what callbacks start after the main thread has ended is done
    as well.
    """

    def __init__(self, workers: int) -> None:
        self._pool = Pool(workers)
        self._calls = UnderWay()

    def run(self, call: Callable[[Job], Any], callback: Callback | None, scheduler: Scheduler | None) -> Any:
        """Return the value of `call(job)` if `callback` is `None`; else return a `Handle` and call `callback` with it.

        What `call` raises is its value. The callback is called exactly once, by a thread of the pool, or by way of the
        scheduler; what it raises goes to `threading.excepthook`.

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
        """Wait for the calls under way and their callbacks, but not for those of this thread.

        Arguments:
            cancel: end them first. Then the wait is a second at most: a callback may take longer.
        """
        if cancel:
            self._calls.abandon(_CLOSE_SECONDS)
        else:
            self._calls.finish()

    def start_anew(self) -> None:
        """Begin anew in the child of a fork: the calls under way are the parent's."""
        calls = self._calls.calls
        self._pool.start_anew()
        self._calls.start_anew()
        for call in calls:
            if isinstance(call, Handle):
                call.disown()

    def _block(self, call: Callable[[Job], Any], scheduler: Scheduler | None) -> Any:
        blocking = _Blocking(Job(delivery(scheduler, Exception)))
        self._calls.began(blocking)
        try:
            return value_of(call, blocking.job, Exception)  # Ctrl-C, in a progress callback too, is the program's
        finally:
            self._calls.ended(blocking)


class _Blocking:
    """A call that its caller waits for."""

    def __init__(self, job: Job) -> None:
        self.job = job
        self.thread: int | None = threading.get_ident()

    def end_soon(self) -> None:
        """Do nothing: it runs."""
