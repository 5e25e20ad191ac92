"""The named defaults."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from pymdc import config


def limits(timeout: config.Timeout) -> list[float | None]:
    return [getattr(timeout, field.name) for field in dataclasses.fields(timeout)]


def test_one_number_sets_every_limit_on_silence() -> None:
    assert limits(config.Timeout.of(5)) == [*[5] * 6, None]
    assert limits(config.Timeout.of(0.5)) == [*[0.5] * 6, None]


def test_none_lifts_every_limit() -> None:
    assert limits(config.Timeout.of(None)) == [None] * 7


def test_a_timeout_is_itself() -> None:
    timeout = config.Timeout(read=1)
    assert config.Timeout.of(timeout) is timeout


def test_the_defaults_limit_every_kind_of_silence() -> None:
    *silence, total = limits(config.Timeout())
    assert all(limit is not None and limit > 0 for limit in silence)
    assert total is None


@pytest.mark.parametrize("wrong", [0, -1, float("nan"), float("-inf")])
def test_a_timeout_that_is_not_positive_is_a_value_error(wrong: float) -> None:
    with pytest.raises(ValueError, match="a timeout is a positive number of seconds"):
        config.Timeout.of(wrong)


@pytest.mark.parametrize("wrong", ["5", (5, 5), {}, True])
def test_a_timeout_that_is_not_a_number_is_a_type_error_that_says_so(wrong: Any) -> None:
    with pytest.raises(TypeError, match=f"a timeout is a number of seconds, .* not {type(wrong).__name__}"):
        config.Timeout.of(wrong)


def test_a_timeout_does_not_change() -> None:
    """It is a default argument, which all clients share."""
    with pytest.raises(dataclasses.FrozenInstanceError):
        config.Timeout().read = 5  # type: ignore[misc]


@pytest.mark.parametrize("limit", [0, -1, float("inf"), float("nan")])
def test_a_limit_that_is_not_a_number_of_seconds_raises_at_once(limit: float) -> None:
    with pytest.raises(ValueError, match="a timeout is a positive number of seconds"):
        config.Timeout(read=limit)
