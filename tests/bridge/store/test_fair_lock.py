from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from pymdc.bridge.store import fair_lock as module
from pymdc.bridge.store.fair_lock import FairLock


def test_threads_get_the_lock_in_the_order_in_which_they_asked() -> None:
    lock, order = FairLock(), []
    with ThreadPoolExecutor(5) as pool, lock.held(60):
        for number in range(5):

            def take(number: int = number) -> None:
                with lock.held(60):
                    order.append(number)

            pool.submit(take)
            while len(lock._waiting) <= number:
                threading.Event().wait(0.001)
    assert order == [0, 1, 2, 3, 4]


def test_a_wait_that_is_too_long_is_an_error_and_leaves_the_lock_as_it_was() -> None:
    lock = FairLock()
    with lock.held(60), pytest.raises(TimeoutError), lock.held(0.01):
        pass
    with lock.held(0):
        pass


def test_a_lock_that_is_handed_over_at_the_last_moment_is_held(monkeypatch: pytest.MonkeyPatch) -> None:
    lock, real = FairLock(), threading.Lock

    class Late:
        """A lock whose waiting is over just before it is released."""

        def __init__(self) -> None:
            self._lock = real()

        def acquire(self, timeout: float = -1) -> bool:
            if timeout < 0:
                return self._lock.acquire()
            lock._release()
            return False

        def release(self) -> None:
            self._lock.release()

    with lock.held(60):
        monkeypatch.setattr(threading, "Lock", Late)
        assert lock._acquire(1)
        monkeypatch.undo()
    assert not lock._taken


def test_one_thread_at_a_time_holds_it() -> None:
    lock, inside = FairLock(), []

    def work(_: Any) -> None:
        with lock.held(60):
            inside.append(1)
            assert len(inside) == 1
            inside.pop()

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(500)))


def test_only_a_few_threads_wait_for_a_slow_holder(monkeypatch: pytest.MonkeyPatch) -> None:
    lock, got = FairLock(), []
    monkeypatch.setattr(module, "_SLOW_SECONDS", -1.0)

    def work() -> None:
        with lock.held(60):
            got.append(1)

    with ThreadPoolExecutor(3) as pool, lock.held(60):
        for number in range(3):
            pool.submit(work)
            while len(lock._waiting) <= number:
                threading.Event().wait(0.001)
        with pytest.raises(TimeoutError), lock.held(60):
            pass
    assert len(got) == 3
    monkeypatch.undo()
    with lock.held(0):
        pass
    assert not lock._slow
