"""The log has one line when an engine fails, and one when it is back."""

from __future__ import annotations

import time

import pytest

from pymdc.bridge.engine import Engine


def test_the_log_tells_when_an_engine_goes_and_when_it_comes_back(caplog: pytest.LogCaptureFixture) -> None:
    engine = Engine("the database")
    engine.failed("Refused: at the start")
    engine.answered()
    for _ in range(3):
        engine.failed("Refused: nobody\nlistens")
    engine.answered()
    engine.answered()
    engine.failed("Refused: again")
    assert caplog.messages == [
        "the database does not answer: Refused: nobody",
        "the database answers again",
        "the database does not answer: Refused: again",
    ]
    assert (engine.errors, engine.away) == (5, True)


def test_an_engine_that_fails_now_and_then_does_not_fill_the_log(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = Engine("the database")
    for _ in range(1000):
        engine.answered()
        engine.failed("disk is full")
    assert caplog.messages == [
        "the database does not answer: disk is full",
        "the database answers again",
        "the database does not answer: disk is full",
    ]
    later = time.monotonic() + 61
    monkeypatch.setattr(time, "monotonic", lambda: later)
    engine.answered()
    assert caplog.messages[3:] == ["the database answers again"]
