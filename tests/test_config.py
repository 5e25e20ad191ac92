"""The named defaults and what is read from the environment."""

from __future__ import annotations

import dataclasses
import logging
from typing import Any
from urllib.parse import SplitResult

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pymdc import config


@pytest.fixture(autouse=True)
def no_endpoint_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("STORJ_BRIDGE", raising=False)


def limits(timeout: config.Timeout) -> list[float | None]:
    return [getattr(timeout, field.name) for field in dataclasses.fields(timeout)]


def test_the_endpoint_that_is_given_is_used_whatever_the_environment_says(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("STORJ_BRIDGE", "http://environment")
    assert config.choose_endpoint("http://argument") == "http://argument"
    assert config.choose_endpoint("") == ""
    assert not caplog.records


def test_the_environment_names_the_endpoint(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setenv("STORJ_BRIDGE", "http://environment:6382")
    assert config.choose_endpoint(None) == "http://environment:6382"
    assert not caplog.records


@pytest.mark.parametrize("empty", [True, False])
def test_without_either_the_retired_service_is_used_and_one_warning_says_how_to_name_another(
    empty: bool, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    if empty:
        monkeypatch.setenv("STORJ_BRIDGE", "")
    assert config.choose_endpoint(None) == "https://api.metadisk.org"
    config.warn_if_retired("http://127.0.0.1:6382")
    assert not caplog.records
    config.warn_if_retired("https://api.metadisk.org")
    config.warn_if_retired("https://api.metadisk.org")
    (record,) = caplog.records
    assert (record.name, record.levelno) == ("pymdc", logging.WARNING)
    for words in ("https://api.metadisk.org", "retired", "STORJ_BRIDGE", "pymdc.configure(endpoint=", "pymdc bridge"):
        assert words in record.getMessage()


# Timeouts


def test_one_number_stands_for_every_limit() -> None:
    assert limits(config.Timeout.of(5)) == [5] * 6
    assert limits(config.Timeout.of(0.5)) == [0.5] * 6


def test_none_lifts_every_limit() -> None:
    assert limits(config.Timeout.of(None)) == [None] * 6


def test_a_timeout_is_itself() -> None:
    timeout = config.Timeout(read=1)
    assert config.Timeout.of(timeout) is timeout


def test_the_defaults_limit_every_kind_of_silence() -> None:
    assert all(limit is not None and limit > 0 for limit in limits(config.Timeout()))


@pytest.mark.parametrize("wrong", [0, -1, float("nan"), float("-inf")])
def test_a_timeout_that_is_not_positive_is_a_value_error(wrong: float) -> None:
    with pytest.raises(ValueError, match="a timeout is a positive number of seconds"):
        config.Timeout.of(wrong)


@pytest.mark.parametrize("wrong", ["5", (5, 5), {}])
def test_a_timeout_that_is_no_number_is_a_type_error(wrong: Any) -> None:
    with pytest.raises(TypeError):
        config.Timeout.of(wrong)


def test_a_timeout_does_not_change() -> None:
    """It is a default argument, which all clients share."""
    with pytest.raises(dataclasses.FrozenInstanceError):
        config.Timeout().read = 5  # type: ignore[misc]


# Endpoints


@pytest.mark.parametrize(
    ("endpoint", "scheme", "netloc", "path"),
    [
        ("http://127.0.0.1:6382", "http", "127.0.0.1:6382", ""),
        ("https://api.metadisk.org/", "https", "api.metadisk.org", ""),
        ("https://api.metadisk.org//", "https", "api.metadisk.org", ""),
        (" http://h/base/ \n", "http", "h", "/base"),
        ("HTTP://H", "http", "H", ""),
        ("http://[::1]:6382/a/b", "http", "[::1]:6382", "/a/b"),
        ("http://h/a%20b/v1.0/...", "http", "h", "/a%20b/v1.0/..."),
    ],
)
def test_an_endpoint_is_split_into_its_parts(endpoint: str, scheme: str, netloc: str, path: str) -> None:
    assert config.parse_endpoint(endpoint) == SplitResult(scheme, netloc, path, "", "")


@pytest.mark.parametrize(
    "endpoint",
    [
        "",
        "bridge",
        "127.0.0.1:6382",
        "localhost:6382",
        "ftp://h",
        "http://",
        "http:///path",
        "http://:6382",
        "http://h:0",
        "http://h:65536",
        "http://h:x",
        "http://[::1",
        "http://h?a=b",
        "http://h/#part",
        "http://h/a b",
        "http://h/é",
        "http://h/a/../b",
        "http://h/./a",
        "http://h/..",
        "http://h/a\\b",
    ],
)
def test_what_is_no_endpoint_is_a_value_error_that_says_so(endpoint: str) -> None:
    with pytest.raises(ValueError, match="malformed endpoint"):
        config.parse_endpoint(endpoint)


@pytest.mark.parametrize(
    "endpoint",
    [
        "http://user:sesame@h",
        "http://sesame@h",
        "http://:sesame@h",
        "http://@h/sesame",
        "http://user:sesame@h:port",
        "http://user:se/sesame@h",
        "http://user:sesame/x@h",
        "http://user:sesame?x@h",
        "http://user:sesame#x@h",
        "user:sesame@h",
        "http:user:sesame@h",
        "ftp://user:sesame@h",
    ],
)
def test_an_endpoint_with_credentials_is_refused_and_not_repeated(endpoint: str) -> None:
    with pytest.raises(ValueError, match="must not carry a user name or a password") as caught:
        config.parse_endpoint(endpoint)
    assert "sesame" not in str(caught.value)
    assert caught.value.__cause__ is None


@given(st.text(max_size=40), st.sampled_from(["", "http://", "https://", "http://h/"]))
def test_any_text_is_an_endpoint_or_a_value_error(text: str, start: str) -> None:
    try:
        parts = config.parse_endpoint(start + text)
    except ValueError:
        return
    assert parts.scheme in ("http", "https")
    assert parts.hostname
    assert not parts.path.endswith("/")
    assert parts.path.isascii()


@pytest.mark.parametrize("limit", [0, -1, float("inf"), float("nan")])
def test_a_limit_that_is_no_number_of_seconds_raises_at_once(limit: float) -> None:
    with pytest.raises(ValueError, match="a timeout is a positive number of seconds"):
        config.Timeout(read=limit)
