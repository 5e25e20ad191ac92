"""Which bridge is called, and what its URL must be like."""

from __future__ import annotations

import logging
from urllib.parse import SplitResult

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pymdc.core import endpoints


@pytest.fixture(autouse=True)
def no_endpoint_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("STORJ_BRIDGE", raising=False)


def test_the_endpoint_that_is_given_is_used_whatever_the_environment_says(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("STORJ_BRIDGE", "http://environment")
    assert endpoints.choose_endpoint("http://argument") == "http://argument"
    assert endpoints.choose_endpoint("") == ""
    assert not caplog.records


def test_the_environment_names_the_endpoint(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setenv("STORJ_BRIDGE", "http://environment:6382")
    assert endpoints.choose_endpoint(None) == "http://environment:6382"
    assert not caplog.records


@pytest.mark.parametrize("empty", [True, False])
def test_without_either_the_retired_service_is_used_and_one_warning_says_how_to_name_another(
    empty: bool, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    if empty:
        monkeypatch.setenv("STORJ_BRIDGE", "")
    assert endpoints.choose_endpoint(None) == "https://api.metadisk.org"
    endpoints.warn_if_retired("http://127.0.0.1:6382")
    assert not caplog.records
    endpoints.warn_if_retired("https://api.metadisk.org")
    endpoints.warn_if_retired("https://api.metadisk.org")
    (record,) = caplog.records
    assert (record.name, record.levelno) == ("pymdc", logging.WARNING)
    for words in ("https://api.metadisk.org", "retired", "STORJ_BRIDGE", "pymdc.configure(endpoint=", "pymdc bridge"):
        assert words in record.getMessage()


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
    assert endpoints.parse_endpoint(endpoint) == SplitResult(scheme, netloc, path, "", "")


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
def test_a_wrong_endpoint_is_a_value_error_that_says_so(endpoint: str) -> None:
    with pytest.raises(ValueError, match="malformed endpoint"):
        endpoints.parse_endpoint(endpoint)


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
    with pytest.raises(ValueError, match="must not contain a user name or a password") as caught:
        endpoints.parse_endpoint(endpoint)
    assert "sesame" not in str(caught.value)
    assert caught.value.__cause__ is None


@given(st.text(max_size=40), st.sampled_from(["", "http://", "https://", "http://h/"]))
def test_any_text_is_an_endpoint_or_a_value_error(text: str, start: str) -> None:
    try:
        parts = endpoints.parse_endpoint(start + text)
    except ValueError:
        return
    assert parts.scheme in ("http", "https")
    assert parts.hostname
    assert not parts.path.endswith("/")
    assert parts.path.isascii()
