"""The handle of a call with `callback=`: old programs use it as a thread, new ones as a future."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable
from concurrent.futures import CancelledError, Future
from typing import Any

from ..errors import without_locals
from .delivery import Callback, Scheduler, delivery, reporting
from .job import Job
from .pool import Pool, make_room
from .under_way import UnderWay

__all__ = ["Handle", "value_of"]

_numbers = itertools.count(1)


class Handle(Future[Any]):
    """A call that was made with `callback=`.

    Programs of 2016 use it as the thread that runs the call: `join()`, `is_alive()`, `name`, `daemon`, `ident`. It is
    also a `concurrent.futures.Future`: `result()`, `done()`, `cancel()`, `add_done_callback()`,
    `asyncio.wrap_future(handle)`. `result()` returns the call's value; it also returns error values, and raises none.

    Attributes:
        name: may be changed.
        daemon: `False`: the process does not end before the call has ended and its callback has run. Setting it has no
            effect.
        ident, native_id: a number that no other call of the process has.
        job: tells the call to stop.
        thread: the identifier of the thread that runs the call; `None` before one does, and after the end.
    """

    def __init__(
        self, call: Callable[[Job], Any], callback: Callback, scheduler: Scheduler | None, pool: Pool, calls: UnderWay
    ) -> None:
        super().__init__()
        self.ident = self.native_id = next(_numbers)
        self.name = f"pymdc-call-{self.ident}"
        self.daemon = False
        self.thread: int | None = None
        self._call = call
        self._callback = callback
        self._deliver = delivery(scheduler)
        self.job = Job(self._deliver)
        self.job.for_window = scheduler is not None
        self._pool = pool
        self._calls = calls
        self._begun = threading.Lock()  # acquired once, by whoever runs the call; never released
        self._delivered = threading.Event()
        self._outcome: list[Any] = []  # the value, which can be read without a lock

    def join(self, timeout: float | None = None) -> None:
        """Wait until the callback has returned, or `timeout` seconds; with a scheduler, until it was handed over.

        Raises:
            RuntimeError: in the callback of this very call, or in its progress, as `threading.Thread.join` does.
        """
        if not self._delivered.is_set():
            self._wait(self._delivered.wait, timeout)

    def is_alive(self) -> bool:
        """Tell whether the callback has not returned yet; with a scheduler, whether it was not handed over yet."""
        return not self._delivered.is_set()

    isAlive = is_alive  # noqa: N815 - Python 2's names, which programs of 2016 use

    def getName(self) -> str:  # noqa: N802
        """Return `name`."""
        return self.name

    def setName(self, name: str) -> None:  # noqa: N802
        """Set `name`."""
        self.name = str(name)

    def isDaemon(self) -> bool:  # noqa: N802
        """Return `daemon`."""
        return self.daemon

    def setDaemon(self, daemonic: bool) -> None:  # noqa: N802
        """Accept `daemon`, as a thread does. It has no effect."""
        self.daemon = bool(daemonic)

    def result(self, timeout: float | None = None) -> Any:
        """Wait for the value and return it. An error is returned too, not raised.

        Raises:
            TimeoutError: there is no value after `timeout` seconds (on Python 3.10 `concurrent.futures.TimeoutError`).
            RuntimeError: this thread is the one that makes the call: it is called in the call's own progress.
        """
        if not self.done():
            self._wait(super().exception, timeout)
        return super().result(0)

    def exception(self, timeout: float | None = None) -> BaseException | None:
        """Wait for the value and return `None`: errors are values, which `result()` gives."""
        self.result(timeout)
        return None

    def add_done_callback(self, fn: Callable[[Future[Any]], object]) -> None:
        """Call `fn(handle)` when there is a value, before the callback.

        If `fn` raises, `threading.excepthook` reports it, and the callback is still called.
        """
        super().add_done_callback(lambda handle: reporting(lambda: fn(handle)))

    def cancel(self) -> bool:
        """Cancel the call, if it can still be stopped: its value is then a `CancelledError`.

        A running call stops within a second, and its sockets and files are closed. The bridge may have done what the
        call asked for, or not.

        Returns:
            Whether the value is, or will be, a `CancelledError`: `False` if there is a value already, or if the call
            can no longer be stopped, such as an upload whose last byte was sent.
        """
        stopping = self.job.cancel()
        if stopping:
            self.end_soon()
        return stopping or self.cancelled()

    def cancelled(self) -> bool:
        """Tell whether the value is a `CancelledError`."""
        return self.done() and isinstance(super().result(), CancelledError)

    def set_result(self, result: object) -> None:
        """Raise a `RuntimeError`: only the call itself sets its value."""
        raise RuntimeError("only the call itself sets the value of its handle")

    def set_exception(self, exception: BaseException | None) -> None:
        """Raise a `RuntimeError`: only the call itself sets its value."""
        self.set_result(exception)

    def set_running_or_notify_cancel(self) -> bool:
        """Raise a `RuntimeError`: only the call itself begins."""
        raise RuntimeError("only the call itself sets the state of its handle")

    def run(self) -> None:
        """Make the call and deliver its value, unless another thread does so already."""
        if self._begun.acquire(blocking=False):
            self.thread = threading.get_ident()
            super().set_running_or_notify_cancel()
            self._finish(value_of(self._call, self.job))

    def leave_to_parent(self) -> None:
        """End this handle in the child of a fork: the parent makes the call, and calls the callback."""
        cancelled = CancelledError("the call belongs to the process that made it")
        value = self._outcome[0] if self._outcome else cancelled
        self._begun.acquire(blocking=False)
        super().__init__()  # makes new locks: another thread of the parent may have held the old ones
        self._delivered = threading.Event()
        self._delivered.set()
        super().set_result(value)

    def end_soon(self) -> None:
        """End a cancelled call that still waits for its turn: deliver the `CancelledError` now."""
        if not self._begun.locked():
            self._pool.submit(self, urgent=True)

    def _wait(self, wait: Callable[[float | None], object], timeout: float | None) -> None:
        if self.thread == threading.get_ident():
            raise RuntimeError("cannot join a call in its own callback or progress")
        if timeout is None or timeout > 0:  # a timeout of 0 only looks whether the call has ended
            with self._calls.joining(self):
                if not make_room():
                    self.run()
                wait(timeout)
        else:
            wait(timeout)

    def _finish(self, value: Any) -> None:
        if self._delivered.is_set():  # the program forked within this call, and this is the child
            return
        # A scheduler may call `deliver` twice by mistake: only the first call finds something here. The thread that
        # takes it also frees the callback and its widgets, and widgets must be freed in the window's thread.
        once = [(self._callback, self._call, value)]
        del self._callback, self._call

        def deliver() -> None:
            try:
                callback, _call, value = once.pop()
            except IndexError:
                return
            callback(value)

        self._outcome.append(value)
        try:
            super().set_result(value)
            del value
            self._deliver(deliver)
        finally:
            self.thread = None
            self._delivered.set()
            self._calls.ended(self)


def value_of(call: Callable[[Job], Any], job: Job, caught: type[BaseException] = BaseException) -> Any:
    """Return the value of `call(job)`: what it returns, what it raises of that kind, or that it was cancelled."""
    try:
        value = _outcome(call, job, caught)
        return without_locals(value) if isinstance(value, BaseException) else value
    except caught as error:  # a mistake of ours, or in a class of the program: the call needs a value anyway
        return error


def _outcome(call: Callable[[Job], Any], job: Job, caught: type[BaseException]) -> Any:
    try:
        job.check()
        value = call(job)
    except caught as error:  # errors are values, and a worker has nobody to raise to
        value = error
    try:
        job.commit()  # from here on cancel() is False; a True that it gave before stays true
    except CancelledError as cancelled:
        value = cancelled
    return value
