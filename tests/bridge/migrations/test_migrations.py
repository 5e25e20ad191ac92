from __future__ import annotations

import contextlib
import sqlite3
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext

from pymdc.bridge import migrations
from pymdc.bridge.errors import Unavailable
from pymdc.bridge.migrations import VERSION_TABLE
from pymdc.bridge.store import NO_NONCE, Accepted, Claim, Replayed, Stale, Store, comparable, database
from pymdc.bridge.store.database import Database
from pymdc.bridge.store.tables import metadata

from ... import engines
from ..harness import run_sql

needs_postgresql = pytest.mark.skipif(engines.postgres_folder() is None, reason="PostgreSQL is not installed")


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=needs_postgresql)])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of an empty database, of each engine."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'bridge.sqlite'}"
    return engines.shared_postgresql().create(f"migrated{abs(hash(tmp_path))}")


def to_version(url: str, version: str) -> None:
    """Bring an empty database to the tables of an earlier release."""
    engine = sa.create_engine(url, poolclass=sa.NullPool)
    with engine.begin() as connection:
        config = migrations._config()
        config.attributes["connection"] = connection
        command.upgrade(config, version)


def test_the_steps_make_the_tables_that_the_code_knows(url: str) -> None:
    Store(url).close()
    engine = sa.create_engine(url, poolclass=sa.NullPool)
    with engine.connect() as connection:
        options = {"version_table": VERSION_TABLE, "compare_type": True, "compare_server_default": True}
        context = MigrationContext.configure(connection, opts=options)
        assert compare_metadata(context, metadata) == []


def test_many_that_start_at_once_make_the_tables_once(url: str) -> None:
    with ThreadPoolExecutor(8) as pool:
        for store in pool.map(Store, [url] * 8):
            store.check()
            store.close()
    assert run_sql(url, f"SELECT version_num FROM {VERSION_TABLE}") == [(migrations.latest(),)]


def test_processes_that_start_at_once_wait_for_each_other(url: str) -> None:
    code = f"from pymdc.bridge.store import Store; store = Store({url!r}); store.check(); store.close()"
    processes = [subprocess.Popen([sys.executable, "-c", code]) for _ in range(3)]
    assert [process.wait(60) for process in processes] == [0, 0, 0]


def test_data_stays_when_a_bridge_starts_again(url: str) -> None:
    first = Store(url)
    first.users.create("a@example.com", "kept", None, "activation", 1)
    first.close()
    second = Store(url)
    assert second.users.activate("activation").email == "a@example.com"
    second.close()


def test_a_request_that_was_accepted_before_nonces_had_one_unit_is_still_refused(url: str) -> None:
    to_version(url, "0001")
    for name, floor in {"none": "NULL", "s": "1795387055", "ms": "1795387055461", "later": "4e12", "n": "77"}.items():
        run_sql(url, f"INSERT INTO users VALUES ('{name}', 'kept', 1, TRUE, {floor})")
    for nonce in (0, 9, 1795387056, 1795387056461, 1795387056461000, 1795387056461000000):
        run_sql(url, f"INSERT INTO signatures VALUES ('ms', 'of {nonce}', {nonce})")
    store = Store(url)
    now = store.now()
    floors = run_sql(url, "SELECT subject, timed, nonce FROM floors ORDER BY subject, timed")
    assert [(subject, bool(timed), nonce) for subject, timed, nonce in floors if (subject, timed) != ("ms", 1)] == [
        ("later", False, 1e9), ("later", True, 4e12), ("ms", False, 1e9), ("n", False, 77.0), ("s", False, 1e9),
        ("s", True, 1795387055000.0),
    ]  # fmt: skip
    assert [now - 60_000 < nonce <= now for subject, timed, nonce in floors if (subject, timed) == ("ms", 1)] == [True]
    kept = run_sql(url, "SELECT timed, nonce FROM signatures WHERE accepted > ? ORDER BY nonce", now - 60_000)
    assert [(bool(timed), nonce) for timed, nonce in kept] == [
        (False, 9.0), (True, 1795387056000.0), *[(True, 1795387056461.0)] * 3, (False, float("inf")),
    ]  # fmt: skip
    store.users.add_key("ms", ("key", "point"))
    acceptance = store.acceptance()
    sent = {"of 1795387056461": 1795387056461, "another": 1795387055, "of now": now + 1}
    outcomes = acceptance.accept([Claim("point", name, comparable(nonce)) for name, nonce in sent.items()])
    assert [type(outcome) for outcome in outcomes] == [Replayed, Stale, Accepted]
    acceptance.close()
    store.close()


def test_a_request_that_a_bucket_accepted_before_its_nonces_were_kept_is_still_refused(url: str) -> None:
    to_version(url, "0001")
    run_sql(url, "INSERT INTO users VALUES ('owner', 'kept', 1, TRUE, NULL)")
    run_sql(url, "INSERT INTO buckets VALUES (1, 'bucket', 'owner', 'name', 1, 1, 1, 0, 0)")
    run_sql(url, "INSERT INTO signatures VALUES ('bucket', 'early', 0)")
    store = Store(url)
    now = store.now()
    for nonce in (NO_NONCE, comparable(now), comparable(7)):
        with pytest.raises(Replayed):
            store.tokens.create(f"again {nonce}", "bucket", "PUSH", (nonce, "early"), now)
        store.tokens.create(f"new {nonce}", "bucket", "PUSH", (nonce, f"late {nonce}"), now)
        with pytest.raises(Replayed):
            store.tokens.create(f"twice {nonce}", "bucket", "PUSH", (nonce, f"late {nonce}"), now)
    store.close()


def test_a_request_that_was_accepted_in_the_earlier_tables_is_still_refused(url: str) -> None:
    to_version(url, "0005")
    run_sql(url, "INSERT INTO users (email, password, created, activated) VALUES ('a', 'kept', 1, TRUE)")
    run_sql(url, "INSERT INTO keys (point, text, email) VALUES ('point', 'key', 'a')")
    sent = {"in ms": 1795387056461, "in s": 1795387056, "number": 9.5}
    for name, nonce in sent.items():
        known = comparable(nonce)
        row = ("a", name, known.timed, known.value, 5)
        run_sql(url, "INSERT INTO signatures (subject, signature, timed, nonce, accepted) VALUES (?, ?, ?, ?, ?)", *row)
    store = Store(url)
    acceptance = store.acceptance()
    again = [Claim("point", name, comparable(nonce)) for name, nonce in sent.items()]
    other = [Claim("point", f"new {name}", comparable(nonce)) for name, nonce in sent.items()]
    outcomes = acceptance.accept([*again, *other])
    assert [type(outcome) for outcome in outcomes] == [Replayed] * 3 + [Accepted] * 3
    assert run_sql(url, "SELECT count(*) FROM signatures WHERE accepted = 5") == [(3,)]
    acceptance.close()
    store.close()


def test_a_database_of_a_later_release_is_refused(url: str) -> None:
    Store(url).close()
    run_sql(url, f"UPDATE {VERSION_TABLE} SET version_num = '9999'")
    with pytest.raises(ValueError, match=r"later release of the bridge \(version 9999\)"):
        Store(url)
    assert run_sql(url, "SELECT * FROM users") == []


def test_a_database_with_tables_of_something_else_is_left_alone(url: str) -> None:
    run_sql(url, "CREATE TABLE users (name VARCHAR(20))")
    with pytest.raises(ValueError, match="tables of something else: users"):
        Store(url)
    assert set(sa.inspect(sa.create_engine(url, poolclass=sa.NullPool)).get_table_names()) == {"users"}


@pytest.mark.parametrize("attempts", [0, 2])
def test_a_start_waits_for_another_that_takes_long(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, attempts: int
) -> None:
    monkeypatch.setattr(database, "_BUSY_MILLISECONDS", 10)
    path, tried = tmp_path / "bridge.sqlite", []
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("PRAGMA journal_mode = WAL")
        other.execute("BEGIN IMMEDIATE")
        write = Database.write

        def counted(database: Database) -> contextlib.AbstractContextManager[sa.Connection]:
            tried.append(1)
            if len(tried) == attempts:
                other.rollback()
            return write(database)

        monkeypatch.setattr(Database, "write", counted)
        if attempts:
            Store(f"sqlite:///{path}").close()
        else:
            with pytest.raises(Unavailable, match="cannot be brought to this release now"):
                Store(f"sqlite:///{path}")
    assert len(tried) == (attempts or 8)
