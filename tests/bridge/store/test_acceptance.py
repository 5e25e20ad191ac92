from __future__ import annotations

from contextlib import AbstractContextManager

import pytest

from pymdc.bridge.errors import Full, Refused, Unavailable
from pymdc.bridge.store import Accepted, Claim, Store, comparable, database, statements
from pymdc.bridge.store.acceptance import Acceptance
from pymdc.bridge.store.statements import STATEMENTS

from ..harness import locked
from .conftest import POINTS, USER
from .test_nonces import NOW

OTHER = "b@example.com"


@pytest.fixture
def acceptance(store: Store) -> Acceptance:
    """For a store with two users, of whom one is active."""
    store.accounts.activate(USER)
    store.users.add_key(USER, ("as it was written", POINTS[USER]))
    store.users.create(OTHER, "kept", ("other", POINTS[OTHER]), "other", 2)
    return store.acceptance()


def claim(signature: str = "signature", email: str = USER, buckets: bool = False) -> Claim:
    return Claim(POINTS[email], signature, comparable(NOW), buckets)


def told(outcome: Accepted | Refused) -> str:
    return outcome.message if isinstance(outcome, Refused) else outcome.user.email


def test_each_request_of_a_batch_gets_its_own_answer(acceptance: Acceptance) -> None:
    batch = [
        claim("one"), claim("one"), claim("two"), claim("three", OTHER), Claim("nobody's", "four", comparable(NOW)),
        Claim(POINTS[USER], "five", Refused(401, "no nonce")), claim("six"),
    ]  # fmt: skip
    assert [told(outcome) for outcome in acceptance.accept(batch)] == [
        USER, "Invalid nonce supplied", USER, "User account has not been activated", "Public key not registered",
        "no nonce", USER,
    ]  # fmt: skip
    assert [told(outcome) for outcome in acceptance.accept(batch[:1])] == ["Invalid nonce supplied"]
    acceptance.close()


def test_a_batch_without_a_nonce_writes_nothing(acceptance: Acceptance) -> None:
    (outcome,) = acceptance.accept([Claim(POINTS[USER], "x", Refused(401, "no nonce"))])
    assert told(outcome) == "no nonce"
    acceptance.close()


def test_a_sender_is_told_with_the_key_as_it_was_written(acceptance: Acceptance) -> None:
    (outcome,) = acceptance.accept([claim()])
    assert isinstance(outcome, Accepted)
    assert (outcome.user.email, outcome.user.created, outcome.user.key) == (
        USER, 1, ("as it was written", POINTS[USER]),
    )  # fmt: skip
    acceptance.close()


def test_buckets_come_with_the_answer_as_they_would_by_themselves(store: Store, acceptance: Acceptance) -> None:
    (none,) = acceptance.accept([claim("before", buckets=True)])
    assert isinstance(none, Accepted)
    assert none.buckets == []
    keys = [("second", "p2"), ("first", "p1")]
    for name in ("é\0", None, "b"):
        store.buckets.create(USER, {"name": name, "storage": 1.5, "transfer": 2}, keys[: len(name or "")], NOW)
    store.accounts.activate(OTHER)
    store.buckets.create(OTHER, {"name": "another's", "storage": 1, "transfer": 2}, [], NOW)
    one, two, three = acceptance.accept([claim("1", buckets=True), claim("2", OTHER, buckets=True), claim("3")])
    assert isinstance(one, Accepted)
    assert isinstance(two, Accepted)
    assert isinstance(three, Accepted)
    assert one.buckets == store.buckets.page(USER)[0]
    assert two.buckets == store.buckets.page(OTHER)[0]
    assert three.buckets is None
    acceptance.close()


@pytest.mark.parametrize("limit", ["FEW_BUCKETS", "FEW_KEYS"])
def test_many_buckets_or_keys_are_left_to_be_read_page_by_page(
    store: Store, acceptance: Acceptance, monkeypatch: pytest.MonkeyPatch, limit: str
) -> None:
    monkeypatch.setattr(statements, limit, 1)
    for name in "ab":
        store.buckets.create(USER, {"name": name, "storage": 1, "transfer": 2}, [("key", "point")], NOW)
    (outcome,) = acceptance.accept([claim(buckets=True)])
    assert isinstance(outcome, Accepted)
    assert outcome.buckets is None
    acceptance.close()


def test_one_request_that_cannot_be_stored_does_not_spoil_the_others(
    acceptance: Acceptance, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    odd = Claim(POINTS[USER], "odd", comparable(NOW))
    object.__setattr__(odd, "signature", "\ud800")  # no text
    outcomes = [told(outcome) for outcome in acceptance.accept([claim("1"), odd, claim("2")])]
    assert outcomes == [USER, "Internal error", USER]
    assert "could not be looked at" in caplog.text
    acceptance.close()


def test_while_the_database_is_away_all_requests_are_refused_and_afterwards_accepted(
    store: Store, acceptance: Acceptance, tmp_path: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    acceptance.close()
    store.close()
    monkeypatch.setattr(database, "_BUSY_MILLISECONDS", 10)
    with locked(str(store._database._engine.url.render_as_string(hide_password=False))):
        outcomes = acceptance.accept([claim("1"), claim("2")])
        assert [type(outcome) for outcome in outcomes] == [Unavailable, Unavailable]
    monkeypatch.undo()
    assert [told(outcome) for outcome in acceptance.accept([claim("1"), claim("2")])] == [USER, USER]
    acceptance.close()


def test_a_connection_that_was_idle_is_looked_at_before_it_is_used(
    store: Store, acceptance: Acceptance, monkeypatch: pytest.MonkeyPatch
) -> None:
    acceptance.accept([claim("1")])
    held = acceptance._connection
    acceptance.accept([claim("2")])
    assert acceptance._connection is held
    monkeypatch.setattr("pymdc.bridge.store.acceptance._IDLE_SECONDS", 0.0)
    acceptance.accept([claim("3")])
    assert acceptance._connection is not held
    acceptance.close()


def test_a_statement_of_each_engine_is_there() -> None:
    assert set(STATEMENTS) == {"sqlite", "postgresql"}


def test_a_database_without_a_free_connection_is_reported_as_away(
    store: Store, acceptance: Acceptance, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused() -> None:
        raise TimeoutError("nobody answers")

    monkeypatch.setattr(store._database, "driver_connection", refused)
    (outcome,) = acceptance.accept([claim()])
    assert isinstance(outcome, Unavailable)


def test_each_request_that_waits_learns_that_the_disk_is_full(
    acceptance: Acceptance, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full() -> AbstractContextManager[None]:
        raise Full

    monkeypatch.setattr(database.Database, "writing", lambda self: full())
    outcomes = acceptance.accept([claim("one"), claim("two")])
    assert [isinstance(outcome, Full) for outcome in outcomes] == [True, True]
    acceptance.close()
