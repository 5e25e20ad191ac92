"""The public keys of an account."""

from __future__ import annotations

import json
from typing import Any

import pytest

from pymdc import Client, api
from pymdc.api.keys import Keys, public_key_of
from pymdc.api.users import Users
from pymdc.keypair import ECDSA

from ..core.test_wire import verify
from . import positional
from .conftest import Ask, Scripted

PAIR = ECDSA(private_key="11" * 32)
PUBLIC = "034f355bdcb7cc0af728ef3cceb9615d90684bb5b2ca5f859ab0f0b704075871aa"
USER = Users("a@b.c", "secret")
LOGIN = "Basic YUBiLmM6MmJiODBkNTM3YjFkYTNlMzhiZDMwMzYxYWE4NTU2ODZiZGUwZWFjZDcxNjJmZWY2YTI1ZmU5N2JmNTI3YTI1Yg=="


def test_the_signatures_are_those_of_2016() -> None:
    assert api.Keys is Keys
    assert positional(Keys) == "user"
    assert positional(Keys.list) == "self, callback=None"
    assert positional(Keys.create) == "self, key_pair=None, callback=None"
    assert positional(Keys.delete) == "self, key_pair, callback=None"


def test_the_attributes_are_the_user_and_no_key_pairs_yet() -> None:
    keys = Keys(user=USER)
    assert keys.user is USER
    assert keys.key_pairs == []


def test_listing_logs_in(bridge: Scripted, client: Client, ask: Ask) -> None:
    value = bridge.plays("list keys basic")
    assert ask(Keys(USER, client=client).list) == value
    assert bridge.line == ("GET", "/base/keys")
    assert bridge.request.headers["authorization"] == LOGIN
    assert "x-signature" not in bridge.request.headers


def test_a_key_pair_may_be_the_user_and_signs(bridge: Scripted, client: Client, ask: Ask) -> None:
    bridge.plays("basic ok: list keys empty")
    assert ask(Keys(PAIR, client=client).list) == []
    assert "authorization" not in bridge.request.headers
    assert bridge.request.headers["x-pubkey"] == PUBLIC
    verify(bridge.request)


def test_creating_sends_the_public_key_and_keeps_the_pair(bridge: Scripted, client: Client, ask: Ask) -> None:
    value = bridge.plays("add key", key=PUBLIC, id=PUBLIC)
    keys = Keys(USER, client=client)
    assert ask(keys.create, PAIR) == value
    assert keys.key_pairs == [PAIR]
    assert bridge.line == ("POST", "/base/keys")
    assert bridge.request.headers["authorization"] == LOGIN
    body = json.loads(bridge.request.content)
    assert set(body) == {"key", "__nonce"}
    assert body["key"] == PUBLIC


def test_creating_without_a_pair_makes_a_new_one(bridge: Scripted, client: Client, ask: Ask) -> None:
    keys = Keys(USER, client=client)
    ask(keys.create)
    (pair,) = keys.key_pairs
    assert pair.private_key is not None
    assert json.loads(bridge.request.content)["key"] == pair.get_public_key()


def test_pairs_are_kept_in_the_order_of_their_creation(bridge: Scripted, client: Client) -> None:
    keys = Keys(USER, client=client)
    keys.create(key_pair=PAIR)
    keys.create()
    assert keys.key_pairs[0] is PAIR
    assert len(bridge.asked) == len(keys.key_pairs) == 2
    assert Keys(USER).key_pairs == []


@pytest.mark.parametrize("key", [PAIR, PUBLIC, {"user": "a@b.c", "key": PUBLIC, "id": PUBLIC}])
def test_deleting_names_the_public_key_in_the_path(bridge: Scripted, client: Client, ask: Ask, key: Any) -> None:
    bridge.plays("delete key (upper-case one)")
    assert ask(Keys(USER, client=client).delete, key) == ""
    assert bridge.line == ("DELETE", "/base/keys/" + PUBLIC)
    assert bridge.request.headers["authorization"] == LOGIN
    assert bridge.request.content == b""


@pytest.mark.parametrize("wrong", ["", "02", "zz", 5, {}, {"error": "no"}, USER, OSError("x"), [PAIR]])
def test_a_wrong_key_raises_at_once(bridge: Scripted, client: Client, ask: Ask, wrong: Any) -> None:
    keys = Keys(USER, client=client)
    for function in (keys.create, keys.delete):
        with pytest.raises((TypeError, ValueError), match="key"):
            ask(function, wrong)
    with pytest.raises((TypeError, ValueError), match="key"):
        public_key_of(wrong)
    assert keys.key_pairs == []
    assert bridge.asked == []


def test_deleting_nothing_raises_at_once(client: Client) -> None:
    with pytest.raises(TypeError):
        Keys(USER, client=client).delete()  # type: ignore[call-overload]
    with pytest.raises(TypeError, match="expected a key pair or a public key in hex"):
        Keys(USER, client=client).delete(None)  # type: ignore[call-overload]


def test_a_private_key_is_never_taken_for_a_public_one(client: Client) -> None:
    with pytest.raises(ValueError, match="not a public key") as caught:
        Keys(USER, client=client).delete(PAIR.get_private_key())
    assert PAIR.get_private_key() not in str(caught.value)


def test_no_pair_is_kept_twice_and_a_deleted_one_is_forgotten(bridge: Scripted, client: Client, ask: Ask) -> None:
    keys = Keys(USER, client=client)
    other = ECDSA()
    for pair in (PAIR, other, PAIR, ECDSA(PAIR.get_public_key())):
        ask(keys.create, pair)
    assert keys.key_pairs == [PAIR, other]
    assert keys.key_pairs[0] is PAIR
    bridge.plays("delete key (upper-case one)")
    ask(keys.delete, PUBLIC)
    assert keys.key_pairs == [other]
    ask(keys.delete, PAIR)
    ask(keys.delete, other)
    assert keys.key_pairs == []


class Duck:
    """A key pair of a program's own, in place of an `ECDSA`."""

    def get_public_key(self) -> str:
        return PUBLIC


@pytest.mark.parametrize("key", [Duck(), PUBLIC + "\n", PUBLIC.encode() + b"\r\n", {"key": PUBLIC + "\n"}])
def test_any_object_with_get_public_key_is_a_key_pair(bridge: Scripted, client: Client, ask: Ask, key: Any) -> None:
    keys = Keys(USER, client=client)
    ask(keys.create, key)
    assert json.loads(bridge.request.content)["key"] == PUBLIC
    assert keys.key_pairs == [key]
