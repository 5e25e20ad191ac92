"""The pointers of one download, and when the bridge is asked for others."""

from __future__ import annotations

from typing import Any

import pytest

from pymdc.core.job import Job
from pymdc.errors import IntegrityError
from pymdc.transfers.pointers import Pointers

HASHES = ["11" * 20, "22" * 20]


class Bridge:
    """Counts how often it is asked, and gives other tokens each time."""

    def __init__(self) -> None:
        self.asked: list[bool] = []
        self.hashes = HASHES

    def ask(self, first: bool, job: Job) -> Any:
        self.asked.append(first)
        return [{"hash": each, "token": f"{each} {len(self.asked)}"} for each in self.hashes]


def job() -> Job:
    return Job(lambda function: None)


def test_a_pointer_that_was_taken_is_replaced_before_it_is_taken_again() -> None:
    bridge = Bridge()
    pointers = Pointers(bridge.ask, True, job())
    assert pointers.take(0, job()) == ({"hash": HASHES[0], "token": f"{HASHES[0]} 1"}, 1)
    assert pointers.take(1, job())[1] == 1
    assert pointers.take(0, job()) == ({"hash": HASHES[0], "token": f"{HASHES[0]} 2"}, 2)
    assert pointers.take(1, job())[1] == 2
    assert bridge.asked == [True, False]


def test_a_single_token_is_not_asked_for_again() -> None:
    bridge = Bridge()
    pointers = Pointers(bridge.ask, False, job())
    assert pointers.take(0, job()) == pointers.take(0, job())
    assert pointers.renew(1, job()) is False
    assert bridge.asked == [True]


def test_an_answer_that_is_old_is_not_renewed_twice() -> None:
    bridge = Bridge()
    pointers = Pointers(bridge.ask, True, job())
    assert pointers.renew(1, job()) is True
    assert pointers.renew(1, job()) is True
    assert len(bridge.asked) == 2


def test_other_shards_are_an_integrity_error() -> None:
    bridge = Bridge()
    pointers = Pointers(bridge.ask, True, job())
    bridge.hashes = HASHES[:1]
    with pytest.raises(IntegrityError, match="stored again"):
        pointers.renew(1, job())
