"""Functions that wait for a loop: it runs them in order, for 10 ms at a time."""

from __future__ import annotations

import sys
import threading
import time
from functools import partial
from typing import Any

import pytest

from pymdc.core import slices

LONG = 60.0


class Loop(slices.Slices):
    """A loop that turns when the test says so."""

    def __init__(self) -> None:
        super().__init__()
        self.turns = 0
        self.open = True
        self.reported: list[BaseException] = []

    def wake(self) -> None:
        self.turns += 1

    def wanted(self) -> bool:
        return self.open

    def go(self) -> None:
        """Turn until the loop is not woken any more."""
        while self.turns:
            self.turns -= 1
            self.turn()


@pytest.fixture
def loop() -> Loop:
    return Loop()


def test_functions_run_in_order_when_the_loop_turns(loop: Loop) -> None:
    ran: list[int] = []
    for number in range(5):
        loop(partial(ran.append, number))
    assert (ran, loop.turns) == ([], 1)
    loop.go()
    assert ran == [0, 1, 2, 3, 4]
    loop(lambda: ran.append(5))
    loop.go()
    assert ran[-1] == 5


def test_functions_that_many_threads_schedule_while_the_loop_turns_are_run(loop: Loop) -> None:
    ran: list[int] = []

    def many() -> None:
        for _ in range(500):
            loop(lambda: ran.append(1))

    threads = [threading.Thread(target=many) for _ in range(4)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        loop.go()
    loop.go()
    assert len(ran) == 2000


def test_the_loop_gets_its_turn_between_slow_functions(loop: Loop) -> None:
    ran: list[int] = []

    def slow() -> None:
        until = time.monotonic() + 0.004
        while time.monotonic() < until:
            pass
        ran.append(1)

    for _ in range(20):
        loop(slow)
    loop.turns -= 1
    loop.turn()
    assert 1 <= len(ran) <= 3
    assert loop.turns == 1
    loop.go()
    assert len(ran) == 20


def test_a_dialog_that_a_function_opens_runs_the_functions_behind_it(loop: Loop) -> None:
    ran: list[str] = []

    def dialog() -> None:
        loop.go()  # a dialog has a loop of its own
        loop(lambda: ran.append("later"))
        loop.go()
        ran.append("closed")

    loop(dialog)
    loop(lambda: ran.append("behind it"))
    loop.go()
    assert ran == ["behind it", "later", "closed"]


def test_nothing_runs_while_the_window_is_hidden_or_after_the_end(loop: Loop) -> None:
    ran: list[str] = []
    loop.open = False
    loop(lambda: ran.append("closed"))
    loop.go()
    loop.open = True
    loop(lambda: ran.append("open again"))
    loop.go()
    loop.ended = True
    loop(lambda: ran.append("ended"))
    loop.go()
    assert ran == ["open again"]


def test_an_exception_of_a_function_goes_to_the_hook_and_the_next_one_runs(
    loop: Loop, monkeypatch: pytest.MonkeyPatch
) -> None:
    reported: list[Any] = []
    monkeypatch.setattr(sys, "excepthook", lambda *arguments: reported.append(arguments))
    ran: list[str] = []
    loop(lambda: 1 // 0)  # type: ignore[arg-type]
    loop(lambda: ran.append("next"))
    loop.go()
    ((kind, error, trace),) = reported
    assert kind is ZeroDivisionError
    assert error.__traceback__ is trace
    assert ran == ["next"]


def test_a_hook_that_raises_does_no_harm(loop: Loop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "excepthook", None)
    ran: list[str] = []
    loop(lambda: 1 // 0)  # type: ignore[arg-type]
    loop(lambda: ran.append("next"))
    loop.go()
    assert ran == ["next"]


@pytest.mark.parametrize("how", ["wake", "wake_again"])
def test_a_loop_that_could_not_be_woken_once_is_woken_by_the_next_function(
    how: str, loop: Loop, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran: list[int] = []

    def failing() -> None:
        raise SystemError("the toolkit")

    with monkeypatch.context() as patched:
        if how == "wake_again":
            loop(partial(ran.append, 0))
            loop(partial(time.sleep, 0.02))
            loop(partial(ran.append, 1))
        patched.setattr(loop, how, failing)
        with pytest.raises(SystemError):
            loop.go() if how == "wake_again" else loop(partial(ran.append, 0))
    loop(partial(ran.append, 2))
    loop.go()
    assert ran == ([0, 1, 2] if how == "wake_again" else [0, 2])


def test_a_toolkit_that_cannot_tell_whether_a_window_is_shown_is_reported(
    loop: Loop, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[BaseException] = []
    ran: list[int] = []
    monkeypatch.setattr(loop, "report", told.append)

    def failing() -> bool:
        raise SystemError("the toolkit")

    with monkeypatch.context() as patched:
        patched.setattr(loop, "wanted", failing)
        loop(partial(ran.append, 0))
        loop.go()
    loop(partial(ran.append, 1))
    loop.go()
    assert ([str(error) for error in told], ran) == (["the toolkit"], [1])
