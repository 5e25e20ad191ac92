from __future__ import annotations

from pymdc.bridge.store import Account, Store

from .conftest import POINTS, USER, accept
from .test_files import NOW, empty_buckets, new_bucket, put


def test_accounts_are_listed_with_their_buckets_and_bytes(store: Store) -> None:
    store.users.create("b@example.com", "kept", None, "another", 2)
    store.users.activate("another")
    put(store, new_bucket(store), "c", size=8)
    put(store, new_bucket(store), "d", "st", size=16)
    new_bucket(store)
    assert store.accounts.all() == [
        Account("a@example.com", 1, "waiting", 0, 3, 24),
        Account("b@example.com", 2, "activated", 0, 0, 0),
    ]


def test_an_account_is_activated_without_its_mail(store: Store) -> None:
    assert store.accounts.activate("a@example.com")
    assert [account.state for account in store.accounts.all()] == ["activated"]
    assert not store.accounts.activate("nobody@example.com")


def test_an_account_is_removed_with_its_keys_buckets_and_files(store: Store) -> None:
    store.accounts.activate(USER)
    store.users.add_key(USER, ("key", POINTS[USER]))
    assert accept(store, [(5.0, "signature")]) == [True]
    bucket = new_bucket(store)
    upload = put(store, bucket, "c", "st", size=16)
    put(store, new_bucket(store), "c", "st", size=16)
    assert store.accounts.remove("a@example.com")
    assert not store.accounts.remove("a@example.com")
    assert store.accounts.all() == []
    empty_buckets(store)
    assert {f"{upload}/0", f"{upload}/1"} <= set(store.leftovers.unused_blobs())
    store.users.create("a@example.com", "kept", None, "again", NOW)
    assert store.buckets.page("a@example.com")[0] == []
    assert store.users.page_of_keys("a@example.com")[0] == []
    store.accounts.activate(USER)
    store.users.add_key(USER, ("key", POINTS[USER]))
    assert accept(store, [(5.0, "signature")]) == [True]
