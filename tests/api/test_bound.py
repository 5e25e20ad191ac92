"""Which client a call uses: the given one, else the account's, else the default one; and `client.api`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import pymdc
from pymdc import Client
from pymdc.api.bound import BoundAPI
from pymdc.api.files import Files

from . import positional
from .conftest import ENDPOINT, Scripted

PAIR = pymdc.keypair.ECDSA(private_key="11" * 32)
PUSH = {"token": "1" * 40}

# Each call that an account may make, given the account.
CALLS: dict[str, Callable[[Any], Any]] = {
    "keys": lambda user: pymdc.api.Keys(user).list(),
    "new key": lambda user: pymdc.api.Keys(user).create(PAIR),
    "buckets": lambda user: pymdc.api.Buckets(user).list(),
    "bucket": lambda user: pymdc.api.Bucket("1", user).list(),
    "files of a bucket": lambda user: pymdc.api.Bucket("1", user).files.list(),
    "files": lambda user: Files("1", user).list(),
    "token": lambda user: Files("1", user).token("PUSH"),
    "upload": lambda user: Files("1", user).upload(b"content", PUSH),
    "pointers": lambda user: Files("1", user).pointers("2" * 40, PUSH),
    "any": lambda user: pymdc.rest.REST("GET", "/anything", auth=user),
}


@pytest.fixture(autouse=True)
def _the_default_client_has_another_bridge() -> None:
    pymdc.configure(endpoint="http://another.invalid")


@pytest.mark.parametrize("name", CALLS)
def test_objects_made_with_an_account_use_the_accounts_client(name: str, bridge: Scripted, client: Client) -> None:
    value = bridge.plays("list files empty bucket")
    user = pymdc.api.Users("a@b.c", "secret", client=client)
    assert user.client is client
    assert CALLS[name](user) == value
    assert bridge.request.url.host == "bridge.test"


def test_a_client_that_is_given_wins_over_the_one_of_the_account(bridge: Scripted, client: Client) -> None:
    value = bridge.plays("list files empty bucket")
    user = pymdc.api.Users("a@b.c", "secret", client=Client("http://a-third.invalid"))
    assert pymdc.api.Keys(user, client=client).list() == value
    assert Files("1", user, client=client).list() == value
    assert len(bridge.asked) == 2


def test_an_account_without_a_client_uses_the_default_client(bridge: Scripted) -> None:
    value = bridge.plays("list files empty bucket")
    pymdc.configure(endpoint=ENDPOINT)
    assert pymdc.api.Keys(pymdc.api.Users("a@b.c", "secret")).list() == value
    assert pymdc.api.Buckets(PAIR).list() == value


def test_an_attribute_client_that_is_not_a_client_does_not_count(bridge: Scripted) -> None:
    value = bridge.plays("list files empty bucket")
    pymdc.configure(endpoint=ENDPOINT)

    class Login:
        username, client = "a@b.c", "http://bridge.test"

        def password_hash(self) -> str:
            return "0" * 64

    assert pymdc.api.Buckets(Login()).list() == value


def test_the_api_of_a_client_is_bound_to_it(bridge: Scripted, client: Client) -> None:
    value = bridge.plays("list files empty bucket")
    api = client.api
    user = api.Users("a@b.c", "secret")
    assert user.client is client
    assert api.ECDSA is pymdc.keypair.ECDSA
    made: list[Any] = [api.Keys(user), api.Keys(PAIR), api.Buckets(PAIR), api.Bucket("1", PAIR), api.Files("1", PAIR)]
    assert [each.list() for each in made] == [value] * 5
    assert api.REST("GET", "/anything") == value
    assert {request.url.host for request in bridge.asked} == {"bridge.test"}


@pytest.mark.parametrize("name", sorted(set(pymdc.api.__all__) - {"users", "keys", "buckets", "files", "ECDSA"}))
def test_the_bound_api_takes_what_the_api_takes(name: str) -> None:
    bound = positional(getattr(BoundAPI, name))
    assert bound.removeprefix("self, ") == positional(getattr(pymdc.api, name))


def test_a_view_with_another_scheduler_has_an_api_as_well(bridge: Scripted, client: Client) -> None:
    value = bridge.plays("list files empty bucket")
    handed: list[Any] = []
    api = client.with_scheduler(handed.append).api
    handle = api.Buckets(api.Users("a@b.c", "secret")).list(callback=lambda _: None)
    handle.join(30)
    assert handle.result() == value
    assert len(handed) == 1


@pytest.mark.parametrize(
    "make",
    [
        lambda wrong: pymdc.api.Users("a@b.c", client=wrong),
        lambda wrong: pymdc.api.Keys(PAIR, client=wrong),
        lambda wrong: pymdc.api.Buckets(PAIR, client=wrong),
        lambda wrong: pymdc.api.Bucket("1", PAIR, client=wrong),
        lambda wrong: Files("1", PAIR, client=wrong),
        lambda wrong: pymdc.rest.REST("GET", "/", client=wrong),
    ],
)
@pytest.mark.parametrize("wrong", ["http://bridge.test", 5, Client, True])
def test_a_wrong_client_raises_at_once(make: Callable[[Any], Any], wrong: Any) -> None:
    with pytest.raises(TypeError, match=r"the client is a pymdc.Client, not \w+"):
        make(wrong)
