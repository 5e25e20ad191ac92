from __future__ import annotations

from pathlib import Path

import pytest

from pymdc.bridge import cleaning
from pymdc.bridge.blobs import Blobs
from pymdc.bridge.errors import Refused
from pymdc.bridge.settings import MAIL_LEASE_SECONDS
from pymdc.bridge.store import Store

NOW = 1_795_387_055_461


def test_an_hour_later_an_address_may_register_again(store: Store) -> None:
    store.registrations.admit("192.0.2.1", 1, 0)
    store.registrations.admit("192.0.2.2", 1, 0)
    with pytest.raises(Refused, match="Too many registrations"):
        store.registrations.admit("192.0.2.1", 1, 3_599_999)
    store.registrations.sweep(3_600_000)
    store.registrations.admit("192.0.2.1", 1, 3_600_000)


def test_a_registration_that_died_before_its_mail_is_forgotten_after_a_while(store: Store) -> None:
    store.users.create("unmailed@example.com", "kept", None, "one", NOW)
    store.users.create("mailed@example.com", "kept", None, "two", NOW)
    store.users.mailed("mailed@example.com")
    store.users.sweep(NOW)
    assert store.users.with_password("unmailed@example.com") is not None
    store.users.sweep(NOW + MAIL_LEASE_SECONDS * 1000 + 1)
    assert store.users.with_password("unmailed@example.com") is None
    assert store.users.with_password("mailed@example.com") is not None


def test_the_clean_up_forgets_dead_registrations_too(store: Store, tmp_path: Path) -> None:
    cleaning.sweep(store, Blobs(str(tmp_path / "shards")), NOW)
    assert store.users.with_password("a@example.com") is None
