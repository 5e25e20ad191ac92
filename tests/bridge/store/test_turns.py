from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from pymdc.bridge.store.turns import Turns


def test_turns_come_in_the_order_in_which_they_were_asked_for() -> None:
    turns, order = Turns(), []
    with ThreadPoolExecutor(5) as pool, turns.turn(60):
        for number in range(5):

            def take(number: int = number) -> None:
                with turns.turn(60):
                    order.append(number)

            pool.submit(take)
            while len(turns._waiting) <= number:
                threading.Event().wait(0.001)
    assert order == [0, 1, 2, 3, 4]


def test_a_turn_that_does_not_come_is_an_error_and_takes_nothing_from_others() -> None:
    turns = Turns()
    with turns.turn(60), pytest.raises(TimeoutError), turns.turn(0.01):
        pass
    with turns.turn(0):
        pass


def test_a_turn_that_comes_at_the_last_moment_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    turns, real = Turns(), threading.Lock

    class Late:
        """A lock whose waiting is over just before it is released."""

        def __init__(self) -> None:
            self._lock = real()

        def acquire(self, timeout: float = -1) -> bool:
            if timeout < 0:
                return self._lock.acquire()
            turns._release()
            return False

        def release(self) -> None:
            self._lock.release()

    with turns.turn(60):
        monkeypatch.setattr(threading, "Lock", Late)
        assert turns._acquire(1)
        monkeypatch.undo()
    assert not turns._taken


def test_one_at_a_time_has_it() -> None:
    turns, inside = Turns(), []

    def work(_: Any) -> None:
        with turns.turn(60):
            inside.append(1)
            assert len(inside) == 1
            inside.pop()

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(500)))
