"""The running calls of one client: wait until they end, or cancel them."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from .job import Job

__all__ = ["Call", "UnderWay"]


class Call(Protocol):
    """A running call.

    Attributes:
        job: tells it to stop.
        thread: the identifier of the thread that runs it; `None` before one does.
    """

    job: Job
    thread: int | None

    def end_soon(self) -> None:
        """End a cancelled call that still waits for its turn: deliver the `CancelledError` now."""


class UnderWay:
    """The running calls, with and without a callback."""

    def __init__(self) -> None:
        self.reset_after_fork()

    def reset_after_fork(self) -> None:
        """Forget the calls. In the child of a fork no thread runs them, and the lock may be held for ever."""
        self._changed = threading.Condition(threading.Lock())  # guards the three below
        self.calls: set[Call] = set()
        self._closing: list[int] = []  # the threads that wait here for the end of the calls
        self._joined: dict[int, Call] = {}  # the threads that wait for one call

    def began(self, call: Call) -> None:
        with self._changed:
            self.calls.add(call)

    def ended(self, call: Call) -> None:
        with self._changed:
            self.calls.discard(call)
            if self._closing:
                self._changed.notify_all()

    @contextmanager
    def joining(self, call: Call) -> Iterator[None]:
        """Note that this thread waits for a call: a thread that waits for all calls must not wait for this one."""
        me = threading.get_ident()
        with self._changed:
            self._joined[me] = call
            self._changed.notify_all()
        try:
            yield
        finally:
            with self._changed:
                self._joined.pop(me, None)

    def finish(self) -> None:
        """Wait until all calls have ended, except calls of this thread and calls that wait for this thread."""
        with self._waiting():
            while self._others():
                self._changed.wait()

    def abandon(self, seconds: float) -> None:
        """Cancel the running calls, except those of this thread, and wait for them, at most `seconds`."""
        end = time.monotonic() + seconds
        told: set[Call] = set()
        with self._waiting():
            while (others := self._others()) and time.monotonic() < end:
                if not others - told:
                    self._changed.wait(max(end - time.monotonic(), 0))
                    continue
                fresh = sorted(others - told, key=lambda call: call.thread is not None)
                for call in fresh:  # first those that wait for their turn: else another call's end would start them
                    call.job.abandon()
                self._changed.release()  # a call takes locks of its own when it ends, and comes back here
                try:
                    for call in fresh:
                        call.end_soon()
                finally:
                    self._changed.acquire()
                told |= others

    @contextmanager
    def _waiting(self) -> Iterator[None]:
        me = threading.get_ident()
        with self._changed:
            self._closing.append(me)
            self._changed.notify_all()
            try:
                yield
            finally:
                self._closing.remove(me)

    def _others(self) -> set[Call]:
        """Return the calls that can end without this thread: not those of threads that wait here or for such a call."""
        stuck = set(self._closing)
        while True:
            more = {thread for thread, call in self._joined.items() if call.thread in stuck} - stuck
            if not more:
                return {call for call in self.calls if call.thread not in stuck}
            stuck |= more
