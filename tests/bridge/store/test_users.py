from __future__ import annotations

import random
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from pymdc.bridge.errors import Refused
from pymdc.bridge.settings import NONCE_SLACK, NONCES
from pymdc.bridge.store import Replayed, Store
from pymdc.keypair import ECDSA

NOW = 1_795_387_055_461


def accepted(store: Store, nonce: float, signature: str | None = None) -> bool:
    try:
        store.users.accept("a@example.com", nonce, signature or f"signature of {nonce}", NOW)
    except Refused as refused:
        if (refused.status, refused.message) != (401, "Invalid nonce supplied"):
            raise
        return False
    return True


def test_an_email_is_registered_once(store: Store) -> None:
    with pytest.raises(Refused, match=r"^Email is already registered$"):
        store.users.create("a@example.com", "kept", None, "other", 2)


def test_a_user_with_a_key_of_somebody_else_is_not_registered(store: Store) -> None:
    key = ("text", ECDSA().get_public_key())
    store.users.add_key("a@example.com", key)
    with pytest.raises(Refused, match=r"^Public key is already registered$"):
        store.users.create("b@example.com", "kept", key, "other", 2)
    assert store.users.with_password("b@example.com") is None


def test_an_activation_token_is_kept_hashed_and_serves_once(store: Store, tmp_path: Path) -> None:
    store.users.create("b@example.com", "kept", None, "a-secret-token", 1)
    assert b"a-secret-token" not in b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert store.users.activate("a-secret-token").activated
    with pytest.raises(Refused, match=r"^Invalid activation token$"):
        store.users.activate("a-secret-token")


def test_no_request_is_accepted_twice(store: Store) -> None:
    assert accepted(store, NOW, "first")
    assert not accepted(store, NOW, "first")
    assert accepted(store, NOW, "second"), "nonces may repeat"


def test_requests_may_overtake_each_other(store: Store) -> None:
    nonces = list(range(NOW, NOW + 200))
    random.Random(1).shuffle(nonces)
    with ThreadPoolExecutor(16) as pool:
        assert all(pool.map(lambda nonce: accepted(store, nonce), nonces))


def test_of_many_who_replay_a_request_at_once_one_is_accepted(store: Store) -> None:
    with ThreadPoolExecutor(16) as pool:
        assert sum(pool.map(lambda _: accepted(store, NOW, "same"), range(40))) == 1


@pytest.mark.parametrize("unit", [1, 1000], ids=["milliseconds", "seconds"])
def test_a_nonce_below_all_that_are_remembered_is_stale(store: Store, unit: int) -> None:
    first = NOW / unit
    assert accepted(store, first)
    assert accepted(store, first - 1), "as much below the first one as requests of the same moment may be"
    assert not accepted(store, first - NONCE_SLACK)
    assert not accepted(store, 5)


def test_what_was_forgotten_is_not_accepted_again(store: Store) -> None:
    for number in range(NONCES + 10):
        assert accepted(store, NOW + number)
    assert not accepted(store, NOW)
    assert not accepted(store, NOW + 9)
    assert not accepted(store, NOW + 9, "another signature: nobody knows any more")
    assert not accepted(store, NOW + 10)
    assert accepted(store, NOW + 10, "another signature")


def test_nonces_are_those_of_one_user(store: Store) -> None:
    store.users.create("b@example.com", "kept", None, "other", 2)
    assert accepted(store, NOW, "same")
    store.users.accept("b@example.com", 5, "same", NOW)


def test_a_key_is_found_by_its_point_and_shown_as_it_was_given(store: Store) -> None:
    key = ("TEXT", ECDSA().get_public_key())
    store.users.add_key("a@example.com", key)
    found = store.users.with_key(key[1])
    assert found is not None
    assert (found.email, found.activated, found.key) == ("a@example.com", False, key)
    assert store.users.list_keys("a@example.com") == ["TEXT"]
    assert store.users.with_key(ECDSA().get_public_key()) is None


def test_a_replay_is_a_refusal(store: Store) -> None:
    assert issubclass(Replayed, Refused)


def test_a_removed_user_can_register_again(store: Store) -> None:
    store.users.unregister("a@example.com")
    store.users.create("a@example.com", "kept", None, "activation", 2)
