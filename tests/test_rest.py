"""The historic front door, over a scripted bridge.

Which bytes a request consists of, and what a real bridge replies to it, is tested elsewhere: here a reply says nothing.
"""

from __future__ import annotations

import inspect
import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
import respx

import pymdc
from pymdc.api.users import Users
from pymdc.keypair import ECDSA
from pymdc.rest import REST

from .core.test_wire import verify

PAIR = ECDSA(private_key="11" * 32)
CREDENTIALS = {"authorization", "x-signature", "x-pubkey"}


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[httpx.Request]]:
    """The requests to a bridge that the environment names, and that answers `{}` to everything."""
    monkeypatch.setenv("STORJ_BRIDGE", "http://bridge.test")
    requests: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        requests.append(request)
        return httpx.Response(200, json={})

    with respx.mock(assert_all_called=False) as router:
        router.route().mock(side_effect=answer)
        yield requests


def test_the_signature_is_that_of_2016() -> None:
    parameters = inspect.signature(REST).parameters.values()
    historic = [(p.name, p.default) for p in parameters if p.kind is p.POSITIONAL_OR_KEYWORD]
    empty = inspect.Parameter.empty
    assert historic == [
        ("method", empty),
        ("resource", empty),
        ("params", {}),
        ("auth", ()),
        ("headers", {}),
        ("callback", None),
    ]
    assert [(p.name, p.kind) for p in parameters][6:] == [("client", inspect.Parameter.KEYWORD_ONLY)]
    assert pymdc.rest.REST is pymdc.api.REST is REST


@pytest.mark.parametrize("method", ["GET", "POST", "PATCH", "PUT", "DELETE"])
def test_a_request_goes_to_the_endpoint_with_its_parameters(sent: list[httpx.Request], method: str) -> None:
    assert REST(method, "/buckets", {"a": "b"}) == {}
    (request,) = sent
    assert (request.method, request.url.host, request.url.path) == (method, "bridge.test", "/buckets")
    if method in ("GET", "DELETE"):
        assert request.url.params["a"] == "b"
        assert request.url.params["__nonce"].isdigit()
    else:
        assert json.loads(request.content)["a"] == "b"


def test_every_argument_works_by_position_and_by_keyword(sent: list[httpx.Request]) -> None:
    values: list[Any] = []
    REST("POST", "/x", {"a": 1}, PAIR, {"x-h": "v"}, values.append).join(30)
    REST(method="POST", resource="/x", params={"a": 1}, auth=PAIR, headers={"x-h": "v"}, callback=values.append).join(
        30
    )
    assert values == [{}, {}]
    for request in sent:
        assert (request.method, request.url.path, request.headers["x-h"]) == ("POST", "/x", "v")
        assert json.loads(request.content)["a"] == 1
        verify(request)


def test_a_key_pair_signs_a_user_logs_in_and_anything_else_does_neither(sent: list[httpx.Request]) -> None:
    for auth in (PAIR, Users("a@b.c", "secret"), (), None, ("a@b.c", "secret"), "a@b.c"):
        REST("GET", "/keys", auth=auth)
    found = [CREDENTIALS & set(request.headers) for request in sent]
    assert found == [{"x-signature", "x-pubkey"}, {"authorization"}, set(), set(), set(), set()]


def test_one_call_leaves_nothing_for_the_next(sent: list[httpx.Request]) -> None:
    """The original's default arguments were changed by each call, and the next one sent what was in them."""
    params = {"name": "x"}
    headers = {"x-token": "t"}
    REST("POST", "/first", params, PAIR, headers)
    REST("POST", "/second")
    REST("GET", "/third")
    assert (params, headers) == ({"name": "x"}, {"x-token": "t"})
    assert set(json.loads(sent[1].content)) == {"__nonce"}
    for request in sent[1:]:
        assert not (CREDENTIALS | {"x-token"}) & set(request.headers)
    assert set(sent[2].url.params) == {"__nonce"}


@pytest.mark.parametrize(
    "arguments",
    [
        {"method": 5},
        {"resource": None},
        {"params": {"a": object()}},
        {"headers": {"x": "a\nb"}},
        {"callback": "f"},
    ],
)
def test_a_mistake_of_the_caller_raises_at_once(sent: list[httpx.Request], arguments: dict[str, Any]) -> None:
    with pytest.raises((TypeError, ValueError)):
        REST(**{"method": "POST", "resource": "/x", "callback": lambda value: None, **arguments})
    assert sent == []


def test_a_given_client_is_used_in_place_of_the_default_one(sent: list[httpx.Request]) -> None:
    with pymdc.Client("http://other.test") as client:
        REST("GET", "/x", client=client)
    assert sent[0].url.host == "other.test"
