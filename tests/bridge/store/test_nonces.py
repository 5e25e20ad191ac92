from __future__ import annotations

import itertools
import random
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st

from pymdc.bridge.errors import Refused
from pymdc.bridge.settings import DATABASE_THREADS, NONCE_SECONDS, NONCES
from pymdc.bridge.store import Replayed, Stale, Store, comparable, nonces

from ..harness import run_sql, settings_for
from .conftest import POINTS, USER, accept

NOW = 1_795_387_055_461  # milliseconds
THREADS = 4  # each may need two of the nine connections at once
SECONDS, MICROSECONDS = NOW // 1000, NOW * 1000


@pytest.fixture(autouse=True)
def _never_by_chance(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    store.accounts.activate(USER)
    store.users.add_key(USER, ("key", POINTS[USER]))
    monkeypatch.setattr(nonces, "FORGET_ONE_IN", 10**9)


def accepted(store: Store, nonce: float, signature: str | None = None, email: str = USER) -> bool:
    return accept(store, [(nonce, signature or f"signature of {nonce}")], email)[0]


def in_a_row(store: Store, numbers: range) -> bool:
    """Accept many requests, some at a time, and tell whether all were accepted."""
    requests = [(float(number), f"signature of {number}") for number in numbers]
    return all(all(accept(store, requests[start : start + 100])) for start in range(0, len(requests), 100))


def forget(store: Store, tmp_path: Path, subject: str = USER, old: bool = True) -> None:
    """Make the bridge forget: everything accepted so far counts as old."""
    if old:
        run_sql(settings_for(tmp_path).database_url, "UPDATE signatures SET accepted = 0")
    engine = sa.create_engine(settings_for(tmp_path).database_url, poolclass=sa.NullPool)
    with engine.begin() as connection:
        nonces.forget(connection, subject)


def count(tmp_path: Path) -> int:
    return int(run_sql(settings_for(tmp_path).database_url, "SELECT count(*) FROM signatures")[0][0])


def test_no_request_is_accepted_twice(store: Store) -> None:
    assert accepted(store, NOW, "first")
    assert not accepted(store, NOW, "first")
    assert accepted(store, NOW, "second"), "nonces may repeat"


def test_requests_may_overtake_each_other(store: Store) -> None:
    numbers = list(range(NOW, NOW + 200))
    random.Random(1).shuffle(numbers)
    with ThreadPoolExecutor(DATABASE_THREADS) as pool:
        assert all(pool.map(lambda nonce: accepted(store, nonce), numbers))


def test_if_many_replay_a_request_at_once_one_is_accepted(store: Store) -> None:
    with ThreadPoolExecutor(DATABASE_THREADS) as pool:
        assert sum(pool.map(lambda _: accepted(store, NOW, "same"), range(40))) == 1


def test_the_size_of_a_time_tells_its_unit() -> None:
    for time in (SECONDS, NOW, MICROSECONDS, MICROSECONDS * 1000):
        assert comparable(time).timed
        assert abs(comparable(time).value - NOW) < 1000
    for nonce in (1, 5.5, 999_999_999, 5e11, 1e15 - 1, 1e30):
        assert (comparable(nonce).timed, comparable(nonce).value) == (False, nonce)


@given(st.floats(1e9, 1e11, exclude_max=True), st.floats(1e9, 1e11, exclude_max=True), st.sampled_from([1, 1e3, 1e6]))
def test_the_order_of_times_in_one_unit_is_kept(first: float, second: float, unit: float) -> None:
    low, high = sorted((first * unit, second * unit))
    assert comparable(low).value <= comparable(high).value


@pytest.mark.parametrize("order", list(itertools.permutations((SECONDS, NOW, MICROSECONDS, SECONDS - 90))))
def test_clients_that_count_in_different_units_share_an_account_in_any_order(
    store: Store, order: tuple[int, ...]
) -> None:
    for step in range(3):
        assert [accepted(store, nonce + step) for nonce in order] == [True] * len(order)


@pytest.mark.parametrize("unit", [1000, 1, 0.001], ids=["seconds", "milliseconds", "microseconds"])
def test_a_new_user_is_some_minutes_ahead_of_what_is_stale(store: Store, unit: float) -> None:
    first, minutes = NOW / unit, NONCE_SECONDS * 1000 / unit
    assert accepted(store, first)
    assert accepted(store, first - minutes * 0.99)
    assert not accepted(store, first - minutes * 1.01)


def test_a_clock_that_is_ahead_locks_nobody_out(store: Store) -> None:
    assert accepted(store, 4_000_000_000)
    now = store.now()
    assert accepted(store, now)
    assert accepted(store, now - NONCE_SECONDS * 1000 + 60_000)


def test_a_counter_is_compared_with_counters_alone(store: Store, tmp_path: Path) -> None:
    assert accepted(store, NOW)
    assert in_a_row(store, range(1, NONCES + 12))
    forget(store, tmp_path)
    assert not accepted(store, 11, "another signature")
    assert accepted(store, 12, "a third signature")
    assert accepted(store, NOW - 60_000), "the counters' floor is not that of times"


def test_a_forgotten_nonce_is_not_accepted_again(store: Store, tmp_path: Path) -> None:
    assert in_a_row(store, range(NOW, NOW + NONCES + 10))
    forget(store, tmp_path)
    assert count(tmp_path) == NONCES
    for number in (0, 8, 9):
        assert not accepted(store, NOW + number)
        assert not accepted(store, NOW + number, "another signature: nobody knows any more")
    assert not accepted(store, NOW + 10)
    assert accepted(store, NOW + 10, "another signature")
    other = Store(settings_for(tmp_path).database_url)
    assert not accepted(other, NOW + 9, "after a restart too")
    other.close()


def test_nonces_of_the_last_minutes_are_not_forgotten(store: Store, tmp_path: Path) -> None:
    assert accepted(store, NOW - 90_000)
    forget(store, tmp_path)
    assert in_a_row(store, range(NOW, NOW + NONCES + 10))
    forget(store, tmp_path, old=False)
    assert count(tmp_path) == NONCES + 10, "but for the old one"
    assert accepted(store, NOW - 89_999), "a client whose clock is behind"


def test_the_number_of_remembered_requests_is_limited(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(nonces, "NONCES_AT_MOST", 20)
    for number in range(30):
        assert accepted(store, NOW + number)
    forget(store, tmp_path, old=False)
    assert count(tmp_path) == 20
    assert not accepted(store, NOW + 9, "another signature")
    forget(store, tmp_path, old=False)
    assert accepted(store, NOW + 10, "another signature")


def test_a_floor_never_falls(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nonces, "NONCES_AT_MOST", 1)
    url = settings_for(tmp_path).database_url
    assert accepted(store, NOW)
    run_sql(url, "UPDATE floors SET nonce = ?", float(NOW + 50))
    run_sql(url, "INSERT INTO signatures VALUES (?, ?, ?, 'x', 0)", USER, True, float(NOW + 10))
    forget(store, tmp_path)
    assert run_sql(url, "SELECT nonce FROM floors") == [(float(NOW + 50),)]


def test_a_request_makes_the_bridge_forget_now_and_then(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(nonces, "FORGET_ONE_IN", 1)
    monkeypatch.setattr(nonces, "NONCES_AT_MOST", 5)
    for number in range(10):
        assert accepted(store, NOW + number)
    assert count(tmp_path) == 5


def test_nonces_are_those_of_one_user(store: Store) -> None:
    store.users.create("b@example.com", "kept", ("key", POINTS["b@example.com"]), "other", 2)
    store.accounts.activate("b@example.com")
    assert accepted(store, NOW, "same")
    assert accepted(store, 5, "same", "b@example.com")


def test_a_replay_is_a_refusal(store: Store) -> None:
    for refused in (Replayed(), Stale()):
        assert isinstance(refused, Refused)
        assert (refused.status, refused.message) == (401, "Invalid nonce supplied")


@pytest.mark.parametrize("nonce", [comparable(NOW), comparable(7), nonces.NO_NONCE])
def test_a_request_for_a_token_serves_a_bucket_once(store: Store, tmp_path: Path, nonce: nonces.Nonce) -> None:
    def made(token: str) -> bool:
        try:
            store.tokens.create(token, "bucket", "PUSH", (nonce, "signature"), NOW)
        except (Replayed, Stale):
            return False
        return True

    assert made("first")
    assert not made("second")
    forget(store, tmp_path, "bucket")
    assert not made("third")


def test_the_requests_that_a_bucket_remembers_are_bounded(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(nonces, "FORGET_ONE_IN", 1)
    monkeypatch.setattr(nonces, "NONCES_AT_MOST", 5)
    for number in range(10):
        request = comparable(NOW + number), f"signature {number}"
        store.tokens.create(f"token {number}", "bucket", "PUSH", request, NOW)
    assert count(tmp_path) == 5
    with pytest.raises(Stale):
        store.tokens.create("another", "bucket", "PUSH", (comparable(NOW + 1), "signature 1"), NOW)
