"""The dispatcher: a call either blocks and returns its value, or runs on a thread pool and hands it to a callback.

The only file that knows threads and `concurrent.futures`.
"""

from __future__ import annotations

import itertools
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import CancelledError, Future
from contextlib import suppress
from typing import Any

from .job import Job

__all__ = ["Callback", "Dispatcher", "Handle", "Scheduler"]

Callback = Callable[[Any], object]
"""Takes the value of a call."""

Scheduler = Callable[[Callable[[], None]], object]
"""Takes a function of no arguments, and runs it later in the thread where callbacks belong.

It may have a method `report(error)`, which is then called there with what a callback raised; else the error goes to
`threading.excepthook`.
"""

_numbers = itertools.count(1)


class Handle(Future[Any]):
    """A call that was made with `callback=`.

    To a program of 2016 it is the thread that runs the call: `join()`, `is_alive()`, `name`, `daemon`. It is also a
    `concurrent.futures.Future`: `result()`, `done()`, `cancel()`, `add_done_callback()`, `asyncio.wrap_future(handle)`.
    `result()` gives the value of the call, error values included: it does not raise them.

    Whoever waits in `join()` or `result()` for a call that no thread of the pool has begun makes it begin at once, in a
    thread of its own. So callbacks may wait for other calls, however many, and never wait for each other's place.
    """

    daemon = False
    """The process does not end before the call has been answered and its callback has run."""

    def __init__(self, call: Callable[[Job], Any], callback: Callback, scheduler: Scheduler | None) -> None:
        super().__init__()
        self.name = f"pymdc-call-{next(_numbers)}"
        self._call = call
        self._callback = callback
        self._deliver = _delivery(scheduler)
        self._job = Job(self._deliver)
        self._begun = threading.Lock()  # held from the moment when somebody begins, for ever
        self._delivered = threading.Event()
        self._runner: int | None = None

    def join(self, timeout: float | None = None) -> None:
        """Wait until the callback has returned, or `timeout` seconds; with a scheduler, until it was handed over.

        Raises:
            RuntimeError: in the callback of this very call, as `threading.Thread.join` does.
        """
        if self._runner == threading.get_ident() and not self._delivered.is_set():
            raise RuntimeError("cannot join a call in its own callback")
        self._begin_now()
        self._delivered.wait(timeout)

    def is_alive(self) -> bool:
        """Tell whether the callback has yet to return; with a scheduler, whether it has yet to be handed over."""
        return not self._delivered.is_set()

    isAlive = is_alive  # noqa: N815 - Python 2's name, which programs of 2016 use

    def result(self, timeout: float | None = None) -> Any:
        """Wait for the value and return it. An error is a value, and returned.

        Raises:
            TimeoutError: there is no value after `timeout` seconds (on Python 3.10 `concurrent.futures.TimeoutError`).
        """
        self._begin_now()
        return super().result(timeout)

    def exception(self, timeout: float | None = None) -> BaseException | None:
        """Wait for the value and return `None`: errors are values, which `result()` gives."""
        self._begin_now()
        return super().exception(timeout)

    def cancel(self) -> bool:
        """Cancel the call, if it can still be stopped: its value is then a `CancelledError`.

        A call that has begun stops within a second, its sockets and files closed; what it had asked of the bridge may
        have been done or not.

        Returns:
            Whether the value is, or will be, a `CancelledError`: `False` where the value is there, and where the call
            can no longer be stopped, such as an upload whose last byte was sent.
        """
        stopping = self._job.cancel()
        if stopping:
            self._begin_now()
        return stopping or self.cancelled()

    def cancelled(self) -> bool:
        """Tell whether the value is a `CancelledError`."""
        return self.done() and isinstance(super().result(), CancelledError)

    def run(self) -> None:
        """Make the call and deliver its value, unless somebody has begun to."""
        if self._begun.acquire(blocking=False):
            self._make()

    def _begin_now(self) -> None:
        if self._begun.acquire(blocking=False):
            _start(self._make, self.name)

    def _make(self) -> None:
        self.set_running_or_notify_cancel()
        self._finish(self._value())

    def _value(self) -> Any:
        try:
            self._job.check()
            value = self._call(self._job)
        except BaseException as error:  # noqa: BLE001 - errors are values, and a worker has nobody to raise to
            value = error
        try:
            self._job.commit()  # from here on cancel() is False, and what it promised before is kept
        except CancelledError as cancelled:
            return cancelled
        return value

    def _finish(self, value: Any) -> None:
        self._runner = threading.get_ident()
        self.set_result(value)
        # Whoever takes this is the one who calls: a scheduler may be wrong, the promise "exactly once" holds. They are
        # also the ones who let go of what a callback holds: a window's things must be freed in the window's thread.
        once = [(self._callback, self._call, value)]
        del self._callback, self._call

        def deliver() -> None:
            try:
                callback, _call, value = once.pop()
            except IndexError:
                return
            callback(value)

        try:
            self._deliver(deliver)
        finally:
            self._delivered.set()


class Dispatcher:
    """Runs calls: at once in the caller's thread, or on at most `workers` threads.

    The threads come with the work and go with it: there is nothing to shut down. They are not daemons, so the process
    does not end before all calls are done, and what callbacks start after the main thread has ended is done as well.
    """

    def __init__(self, workers: int) -> None:
        self._workers = workers
        self._lock = threading.Lock()  # guards the two below
        self._waiting: deque[Handle] = deque()
        self._working = 0

    def run(self, call: Callable[[Job], Any], callback: Callback | None, scheduler: Scheduler | None) -> Any:
        """Return the value of `call(job)` if `callback` is `None`; else return a `Handle` and call `callback` with it.

        What `call` raises is its value. The callback is called exactly once, by a thread of the pool, or by way of the
        scheduler; what it raises goes to `threading.excepthook`.

        Raises:
            TypeError: the callback or the scheduler cannot be called.
        """
        if callback is None:
            try:
                return call(Job(_delivery(scheduler, Exception)))  # Ctrl-C in a progress callback is the program's
            except Exception as error:  # noqa: BLE001 - errors are values
                return error
        if not callable(callback):
            raise TypeError(f"the callback must be callable, not {type(callback).__name__}")
        handle = Handle(call, callback, scheduler)
        with self._lock:
            self._waiting.append(handle)
            if self._working == self._workers:
                return handle
            self._working += 1
        try:
            threading.Thread(target=self._work, name=f"pymdc-worker-{next(_numbers)}").start()
        except RuntimeError:  # the interpreter is shutting down, or the system has no thread left
            self._work_without_a_thread()
        return handle

    def _work_without_a_thread(self) -> None:
        with self._lock:
            if self._working > 1:  # others are at work, this thread perhaps among them: they look once more
                self._working -= 1
                return
        self._work()

    def _work(self) -> None:
        while True:
            with self._lock:
                if not self._waiting:
                    self._working -= 1
                    return
                handle = self._waiting.popleft()
            handle.run()
            del handle  # or an idle worker would keep the last value alive


def _start(function: Callable[[], None], name: str) -> None:
    try:
        threading.Thread(target=function, name=name).start()
    except RuntimeError:  # the interpreter is shutting down, or the system has no thread left: this thread does it
        function()


def _delivery(
    scheduler: Scheduler | None, reported: type[BaseException] = BaseException
) -> Callable[[Callable[[], object]], None]:
    """Return what runs a function where callbacks belong, and reports what it raises of that kind."""
    if scheduler is None:
        return lambda function: _reporting(function, reported)
    report: Callable[[BaseException], object] = getattr(scheduler, "report", _to_the_hook)
    return lambda function: _reporting(lambda: scheduler(lambda: _reporting(function, reported, report)), reported)


def _to_the_hook(error: BaseException) -> None:
    threading.excepthook(
        threading.ExceptHookArgs((type(error), error, error.__traceback__, threading.current_thread()))
    )


def _reporting(
    function: Callable[[], object],
    reported: type[BaseException],
    report: Callable[[BaseException], object] = _to_the_hook,
) -> None:
    try:
        function()
    except reported as error:  # nothing that a callback raises may end a worker
        with suppress(BaseException):  # nor what a program's own hook raises
            report(error)
