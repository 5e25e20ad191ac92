"""A fair lock: threads get it in the order in which they asked for it."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["FairLock"]


class FairLock:
    """A fair lock. SQLite lets one connection write at a time, and its own lock may let one wait for ever."""

    def __init__(self) -> None:
        self._mutex = threading.Lock()
        self._taken = False
        self._waiting: deque[threading.Lock] = deque()

    @contextmanager
    def held(self, seconds: float) -> Iterator[None]:
        """Wait for the lock and hold it.

        Raises:
            TimeoutError: it was not free within so many seconds.
        """
        if not self._acquire(seconds):
            raise TimeoutError("others write for too long")
        try:
            yield
        finally:
            self._release()

    def _acquire(self, seconds: float) -> bool:
        with self._mutex:
            if not self._taken:
                self._taken = True
                return True
            gate = threading.Lock()
            gate.acquire()
            self._waiting.append(gate)
        if gate.acquire(timeout=seconds):
            return True
        with self._mutex:
            if gate in self._waiting:
                self._waiting.remove(gate)
                return False
        return True  # the lock was handed over at the last moment

    def _release(self) -> None:
        with self._mutex:
            if self._waiting:
                self._waiting.popleft().release()
            else:
                self._taken = False
