"""The description of a call, with plain values, and the arguments that are refused before anything is sent."""

from __future__ import annotations

from typing import Any
from urllib.parse import unquote

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pymdc.api.users import Users
from pymdc.core import calls
from pymdc.keypair import ECDSA

from .test_wire import ORIGIN, PAIR, USER, WITH_BODY, WITHOUT_BODY, hard

# path()


@given(st.lists(hard.filter(bool), min_size=1, max_size=4))
def test_every_segment_stays_one_segment_whatever_it_holds(segments: list[str]) -> None:
    made = calls.path(*segments)
    assert made.isascii()
    assert [unquote(part) for part in made.split("/")] == ["", *segments]


@given(st.lists(hard.filter(bool), min_size=1, max_size=4))
def test_httpx_leaves_a_made_path_alone(segments: list[str]) -> None:
    made = calls.path(*segments)
    assert httpx.URL(ORIGIN + made).raw_path.decode() == made


@pytest.mark.parametrize(
    ("segments", "made"),
    [
        (["buckets", "56ef"], "/buckets/56ef"),
        (["buckets", "a/b"], "/buckets/a%2Fb"),
        (["buckets", ".."], "/buckets/%2E%2E"),
        (["buckets", ".", "files"], "/buckets/%2E/files"),
        (["buckets", "..."], "/buckets/..."),
        (["a b?c#d%e"], "/a%20b%3Fc%23d%25e"),
        (["é"], "/%C3%A9"),
        ([], ""),
    ],
)
def test_a_path_is_percent_encoded_segment_by_segment(segments: list[str], made: str) -> None:
    assert calls.path(*segments) == made


# call()


@pytest.mark.parametrize(
    ("resource", "path", "query"),
    [
        ("/buckets", "/buckets", ""),
        ("buckets", "/buckets", ""),
        ("//buckets", "/buckets", ""),
        ("", "/", ""),
        ("/a b", "/a%20b", ""),
        ("/a%20b", "/a%20b", ""),
        ("/a#b", "/a%23b", ""),
        ("/é[1]", "/%C3%A9%5B1%5D", ""),
        ("/a?b=c d&e=%20", "/a", "b=c%20d&e=%20"),
        ("/a?b?c#d", "/a", "b?c%23d"),
        ("/a/../b/./c", "/a/%2E%2E/b/%2E/c", ""),
    ],
)
def test_a_resource_is_encoded_where_it_must_be_and_keeps_its_query(resource: str, path: str, query: str) -> None:
    made = calls.describe("GET", resource, {})
    assert (made.path, made.query, made.payload) == (path, query, "")


@pytest.mark.parametrize("method", [*WITH_BODY, "post"])
def test_the_parameters_of_a_method_with_a_body_are_compact_ascii_json(method: str) -> None:
    assert calls.describe(method, "/", {"name": "é", "n": [1, 2]}).payload == '{"name":"\\u00e9","n":[1,2]}'


@pytest.mark.parametrize("method", [*WITHOUT_BODY, "HEAD", "get"])
def test_the_parameters_of_another_method_are_a_query(method: str) -> None:
    assert calls.describe(method, "/", {"a": "é&=", "b": [1, 2]}).payload == "a=%C3%A9%26%3D&b=1&b=2"


def test_the_method_may_be_in_any_case() -> None:
    assert calls.describe("gEt", "/", {}).method == "GET"


def test_the_arguments_are_copied_and_never_changed() -> None:
    params: dict[str, Any] = {"a": [1], calls.NONCE: 5}
    headers = {"x-token": "t"}
    made = calls.describe("POST", "/", params, headers=headers)
    assert params == {"a": [1], calls.NONCE: 5}
    assert headers == {"x-token": "t"}
    params["a"].append(2)
    headers["x-token"] = "other"
    assert made.payload == '{"a":[1]}'
    assert made.headers == {"x-token": "t"}


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_nonce_that_the_caller_gives_is_replaced_by_a_fresh_one(method: str) -> None:
    """The original left its nonce in the caller's dict, and a later call found it there."""
    assert "5" not in calls.describe(method, "/", {calls.NONCE: 5}).payload


@pytest.mark.parametrize("credentials", [None, (), "someone", ("user", "password"), 5, Users, ECDSA])
def test_a_value_that_neither_signs_nor_logs_in_gives_no_credentials(credentials: object) -> None:
    made = calls.describe("GET", "/", {}, credentials)
    assert made.credentials is None
    assert not made.signed


def test_a_key_pair_signs_and_an_account_logs_in() -> None:
    assert calls.describe("GET", "/", {}, PAIR).signed
    by_login = calls.describe("GET", "/", {}, USER)
    assert by_login.credentials is USER
    assert not by_login.signed


@pytest.mark.parametrize("method", ["", "G T", "GET\n", "GÉT", "1", None, 5, b"GET"])
def test_a_method_that_is_not_a_word_is_a_value_error(method: Any) -> None:
    with pytest.raises(ValueError, match="a method is a word such as 'GET'"):
        calls.describe(method, "/", {})


@pytest.mark.parametrize("resource", [None, 5, b"/buckets", {"id": "x"}])
def test_a_resource_that_is_not_text_is_a_type_error(resource: Any) -> None:
    with pytest.raises(TypeError, match="a resource is a str such as '/buckets'"):
        calls.describe("GET", resource, {})


@pytest.mark.parametrize(
    "params", [{"a": float("nan")}, {"a": float("inf")}, {"a": {1}}, {"a": b"bytes"}, {"a": object()}]
)
def test_parameters_that_are_not_json_raise(params: dict[str, Any]) -> None:
    with pytest.raises((TypeError, ValueError)):
        calls.describe("POST", "/", params)


def test_parameters_that_hold_themselves_raise() -> None:
    params: dict[str, Any] = {}
    params["self"] = params
    with pytest.raises(ValueError, match="Circular"):
        calls.describe("POST", "/", params)


@pytest.mark.parametrize("lone", ["\ud800", "x\udfff"])
def test_half_a_surrogate_pair_cannot_be_in_a_url(lone: str) -> None:
    for build in (
        lambda: calls.path(lone),
        lambda: calls.describe("GET", "/" + lone, {}),
        lambda: calls.describe("GET", "/?" + lone, {}),
        lambda: calls.describe("GET", "/", {"a": lone}),
    ):
        with pytest.raises(ValueError, match="surrogate"):
            build()


@pytest.mark.parametrize(
    ("given_", "kept"),
    [({"a": "b"}, {"a": "b"}), ({"a": 5}, {"a": "5"}), ({"a": b"b"}, {"a": "b"}), ({}, {}), (None, {})],
)
def test_headers_are_text(given_: Any, kept: dict[str, str]) -> None:
    assert calls.describe("GET", "/", {}, headers=given_).headers == kept


@pytest.mark.parametrize(
    ("name", "value"),
    [("x-token", "secret\r\nx-evil: 1"), ("x-token", "secret\n"), ("x-token", "secré"), ("x-token", b"\xff\x00secret")],
)
def test_a_header_that_cannot_be_sent_raises_without_its_value(name: str, value: Any) -> None:
    with pytest.raises(ValueError, match="the header 'x-token' must be printable ASCII") as caught:
        calls.describe("GET", "/", {}, headers={name: value})
    assert "secr" not in str(caught.value)


@pytest.mark.parametrize("name", ["a\nb", "é", "a\x00"])
def test_a_header_name_that_cannot_be_sent_raises(name: str) -> None:
    with pytest.raises(ValueError, match="must be printable ASCII"):
        calls.describe("GET", "/", {}, headers={name: "x"})


@pytest.mark.parametrize(
    ("method", "resource", "headers", "repeatable"),
    [
        ("GET", "/buckets", {}, True),
        ("GET", "/buckets", {"x-other": "1"}, True),
        ("GET", "/buckets/1/files/2", {"x-token": "t"}, False),
        ("GET", "/buckets/1/files/2", {"X-Token": "t"}, False),
        ("GET", "/activations/t", {}, False),
        ("POST", "/buckets", {}, False),
        ("PUT", "/buckets/1/files", {}, False),
        ("PATCH", "/buckets/1", {}, False),
        ("DELETE", "/buckets/1", {}, False),
    ],
)
def test_only_a_get_that_spends_no_token_may_be_sent_again(
    method: str, resource: str, headers: dict[str, str], repeatable: bool
) -> None:
    assert calls.describe(method, resource, {}, headers=headers).repeatable is repeatable
