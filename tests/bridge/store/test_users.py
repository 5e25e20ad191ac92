from __future__ import annotations

from pathlib import Path

import pytest

from pymdc.bridge.errors import Refused
from pymdc.bridge.store import Store
from pymdc.keypair import ECDSA


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


def test_a_key_is_shown_as_it_was_given(store: Store) -> None:
    store.users.add_key("a@example.com", ("TEXT", ECDSA().get_public_key()))
    assert [key.text for key in store.users.page_of_keys("a@example.com")[0]] == ["TEXT"]


def test_a_removed_user_can_register_again(store: Store) -> None:
    store.users.unregister("a@example.com")
    store.users.create("a@example.com", "kept", None, "activation", 2)
