"""A fair lock: threads get it in the order in which they asked for it."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["FairLock"]

_SLOW_SECONDS = 5.0  # a write that takes longer does not wait for its own work, but for another process
_PATIENT = 3  # how many threads may wait then: the other threads of the database stay free for reads


class FairLock:
    """A fair lock. SQLite lets one connection write at a time, and its own lock may let one wait for ever.

    While those that get the lock hold it for long, only a few threads may wait for it.
    """

    def __init__(self) -> None:
        self._mutex = threading.Lock()
        self._taken = False
        self._since = 0.0  # when its holder got it
        self._slow = False  # whether its last holder held it for long
        self._waiting: deque[threading.Lock] = deque()

    @contextmanager
    def held(self, seconds: float) -> Iterator[None]:
        """Wait for the lock and hold it.

        Raises:
            TimeoutError: it was not free within so many seconds, or too many threads wait for a slow holder.
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
                self._taken, self._since = True, time.monotonic()
                return True
            if len(self._waiting) >= _PATIENT and (self._slow or self._is_slow()):
                return False
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
            self._slow, self._since = self._is_slow(), time.monotonic()
            if self._waiting:
                self._waiting.popleft().release()
            else:
                self._taken = False

    def _is_slow(self) -> bool:
        return time.monotonic() - self._since > _SLOW_SECONDS
