"""Accounts: their requests and their `repr`."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import pytest

from pymdc import Client, api
from pymdc.api.users import Users

from . import positional
from .conftest import Ask, Scripted

HASH = "2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b"  # of "secret"


def test_the_signatures_are_those_of_2016() -> None:
    assert api.Users is Users
    assert positional(Users) == "username, password=None"
    assert positional(Users.register) == "self, callback=None"
    assert positional(Users.activate) == "self, token, callback=None"
    assert positional(Users.password_hash) == "self"


def test_an_account_is_given_by_position_or_by_keyword() -> None:
    for user in (Users("a@b.c", "secret"), Users(username="a@b.c", password="secret"), Users("a@b.c", b"secret")):
        assert (user.username, user.password, user.password_hash()) == ("a@b.c", b"secret", HASH)


def test_a_password_of_any_unicode_is_its_utf_8() -> None:
    user = Users("a@b.c", "pässwörd 🖇")
    assert user.password == "pässwörd 🖇".encode()
    assert user.password_hash() == hashlib.sha256("pässwörd 🖇".encode()).hexdigest()


@pytest.mark.parametrize("none", [None, "", b""])
def test_without_a_password_a_random_one_is_made(none: str | bytes | None) -> None:
    users = [Users("a@b.c", none) for _ in range(5)]
    assert len({user.password for user in users}) == 5
    assert all(isinstance(user.password, bytes) and len(user.password) == 32 for user in users)
    assert Users("a@b.c").password


@pytest.mark.parametrize("username", [None, 5, b"a@b.c", {"email": "a@b.c"}])
def test_a_username_that_is_not_text_is_a_type_error(username: Any) -> None:
    with pytest.raises(TypeError, match="the username is an e-mail address, a str"):
        Users(username)


@pytest.mark.parametrize("password", [5, ["secret"], bytearray(b"secret")])
def test_a_password_that_is_neither_text_nor_bytes_is_a_type_error_without_it(password: Any) -> None:
    with pytest.raises(TypeError, match="the password must be str or bytes") as caught:
        Users("a@b.c", password)
    assert "secret" not in str(caught.value)


def test_the_repr_holds_neither_the_password_nor_its_hash() -> None:
    assert repr(Users("a@b.c", "secret")) == "Users('a@b.c')"


def test_registering_sends_the_email_and_the_passwords_hash(bridge: Scripted, client: Client, ask: Ask) -> None:
    value = bridge.plays("create user", email="é@b.c", id="é@b.c")
    assert ask(Users("é@b.c", "secret", client=client).register) == value
    assert bridge.line == ("POST", "/base/users")
    body = json.loads(bridge.request.content)
    assert isinstance(body.pop("__nonce"), int)
    assert body == {"email": "é@b.c", "password": HASH}
    assert bridge.request.headers["content-type"] == "application/json"
    assert b"secret" not in bridge.request.content


def test_registering_sends_no_credentials(bridge: Scripted, client: Client) -> None:
    Users("a@b.c", "secret", client=client).register()
    assert not {"authorization", "x-signature", "x-pubkey"} & set(bridge.request.headers)


def test_a_refusal_is_the_documented_dict(bridge: Scripted, client: Client, ask: Ask) -> None:
    bridge.plays("create user: duplicate email")
    assert ask(Users("a@b.c", "secret", client=client).register) == {"error": "Email is already registered"}


@pytest.mark.parametrize(
    ("token", "path"), [("0123abcd", "0123abcd"), ("a/b?c", "a%2Fb%3Fc"), (b"ab", "ab"), ("..", "%2E%2E")]
)
def test_activating_asks_for_the_tokens_link(bridge: Scripted, client: Client, ask: Ask, token: Any, path: str) -> None:
    value = bridge.plays("activation: success")
    assert ask(Users("a@b.c", "secret", client=client).activate, token) == value
    assert bridge.line == ("GET", "/base/activations/" + path)
    assert bridge.request.url.query.startswith(b"__nonce=")
    assert not {"authorization", "x-signature", "x-pubkey"} & set(bridge.request.headers)


@pytest.mark.parametrize("after", ["", "?redirect=https://app.example", "#top", "\n"])
def test_the_whole_link_of_the_mail_is_accepted_as_its_token(
    bridge: Scripted, client: Client, ask: Ask, after: str
) -> None:
    bridge.plays("activation: success")
    ask(Users("a@b.c", client=client).activate, f"https://bridge.example/base/activations/{'ab' * 32}{after}")
    assert bridge.line == ("GET", f"/base/activations/{'ab' * 32}")


@pytest.mark.parametrize("token", [None, "", 5])
def test_a_wrong_activation_token_raises_at_once(bridge: Scripted, client: Client, ask: Ask, token: Any) -> None:
    with pytest.raises((TypeError, ValueError), match="expected an activation token"):
        ask(Users("a@b.c", client=client).activate, token)
    assert bridge.asked == []


def test_a_callback_that_cannot_be_called_raises_at_once(bridge: Scripted, client: Client) -> None:
    with pytest.raises(TypeError, match="the callback must be callable"):
        Users("a@b.c", client=client).register(callback=5)  # type: ignore[call-overload]
    assert bridge.asked == []
