from __future__ import annotations

import importlib.metadata
import logging
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from pymdc.bridge import migrations
from pymdc.bridge.errors import Unavailable
from pymdc.bridge.settings import LONG_ANSWER_SECONDS
from pymdc.bridge.store import Claim, Nonce, Store, database
from pymdc.bridge.store.database import Database, retry_until

from ... import engines
from ..chaos.faults import Plan, Proxy
from ..harness import running, until

psycopg = pytest.importorskip("psycopg")
pytestmark = pytest.mark.skipif(engines.postgres_folder() is None, reason="PostgreSQL is missing")
PATIENCE = 1.0


@pytest.fixture
def proxy() -> Iterator[Proxy]:
    with closing(Proxy(Plan(), engines.shared_postgresql().port)) as proxy:
        yield proxy


@pytest.fixture
def url(proxy: Proxy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A new database, by way of the proxy."""
    from pymdc.bridge.store import postgresql

    monkeypatch.setattr(postgresql.Connection, "patience", PATIENCE)
    monkeypatch.setitem(database._ARGUMENTS, "postgresql", {"connect_timeout": 2})
    server = engines.shared_postgresql()
    return server.create(f"frozen{abs(hash(tmp_path))}").replace(f":{server.port}/", f":{proxy.port}/")


def test_the_internals_of_psycopg_that_we_use_were_read_in_this_version() -> None:
    """`psycopg.generators` and the private names below are not documented: read them again in a later version."""
    assert importlib.metadata.version("psycopg").startswith("3.3.")
    assert psycopg.generators.send
    assert psycopg.generators.fetch_many
    assert psycopg._preparing.PrepareManager.get
    assert psycopg.Connection._deallocate


def test_connections_to_a_database_that_freeze_hold_no_thread_and_are_made_again(
    tmp_path: Path, url: str, proxy: Proxy, capfd: pytest.CaptureFixture[str]
) -> None:
    with running(tmp_path, database=url) as bridge:
        people = [bridge.person() for _ in range(4)]
        proxy.frozen.set()
        began = time.monotonic()
        with ThreadPoolExecutor(32) as pool:
            signed = [pool.submit(people[number % 4].send, "GET", "/keys") for number in range(16)]
            plain = [pool.submit(bridge.http.get, "/keys", auth=people[0].basic) for _ in range(16)]
            statuses = {one.result().status_code for one in (*signed, *plain)}
        assert statuses == {503}
        assert time.monotonic() - began < 25, "each thread waits a second, and then for a new connection"
        proxy.frozen.clear()
        until(bridge, lambda: people[0].send("GET", "/keys").status_code == 200)
        until(bridge, lambda: bridge.http.get("/keys", auth=people[0].basic).status_code == 200)
    assert "Pipeline" not in capfd.readouterr().err


def test_long_statements_may_take_longer(url: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    with closing(Database(url)) as base:
        slow = sa.text("SELECT pg_sleep(1.6)")
        with base.read() as connection, retry_until(connection):
            connection.execute(slow)
        with pytest.raises(Unavailable), base.read() as connection:
            connection.execute(slow)
        with base.read() as connection:
            assert connection.execute(sa.text("SELECT 1")).scalar() == 1
    assert [record.message for record in caplog.records] == [
        "the database does not answer: OperationalError: the server did not answer within 1 seconds",
        "the database answers again",
    ]


def test_a_table_that_is_rebuilt_may_take_long(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    monkeypatch.setattr(
        migrations, "upgrade", lambda connection: seen.append(connection.connection.driver_connection.patience)
    )
    with closing(Database(url)) as base:
        base.migrate()
    assert seen == [LONG_ANSWER_SECONDS]


ADD = "INSERT INTO seen VALUES ($1::int) RETURNING number"
READ = "SELECT number, number > 1, 'text ' || $1 FROM seen"


def test_statements_that_are_sent_together_are_one_transaction() -> None:
    from pymdc.bridge.store.postgresql import Connection

    server = engines.shared_postgresql()
    where = server.create("together").replace("+psycopg", "")
    with closing(Connection.connect(where)) as one, closing(psycopg.connect(where, autocommit=True)) as other:
        other.execute("CREATE TABLE seen (number INT PRIMARY KEY)")
        for number in (1, 2):  # the second time both are prepared
            assert one.transact([(ADD, [f"{number}"]), (READ, ["é"])])[0] == [(number,)]
        assert other.execute("SELECT number FROM seen").fetchall() == [(1,), (2,)]
        assert one.transact([(READ, ["é"])]) == [[(1, False, "text é"), (2, True, "text é")]]
        with pytest.raises(psycopg.errors.UniqueViolation):
            one.transact([(ADD, ["3"]), (ADD, ["2"]), (READ, ["é"])])
        one.execute("DEALLOCATE ALL")
        one.commit()
        assert one.transact([(READ, ["e"]), (READ, ["é"])])[0] == [(1, False, "text e"), (2, True, "text e")]
        assert other.execute("SELECT number FROM seen").fetchall() == [(1,), (2,)]


def test_what_psycopg_frees_is_prepared_again() -> None:
    from pymdc.bridge.store.postgresql import Connection

    where = engines.shared_postgresql().create("freed").replace("+psycopg", "")
    with closing(Connection.connect(where)) as one:
        for number in range(3):
            assert one.transact([("SELECT $1", [f"{number}"])]) == [[(f"{number}",)]]
            for _ in range(8):
                one.execute("SELECT 1 + %s", [number])
            one.rollback()  # after this, psycopg frees all that is prepared
        one.prepared_max = 1
        for number in (1, 2, 3):  # it frees one at a time
            assert one.execute(f"SELECT {number}", prepare=True).fetchall() == [(number,)]
        one.commit()
        assert one.transact([("SELECT $1", ["again"])]) == [[("again",)]]
        assert not one.pooled


def test_an_error_of_the_commit_is_told_and_leaves_the_connection_usable() -> None:
    from pymdc.bridge.store.postgresql import Connection

    where = engines.shared_postgresql().create("deferred").replace("+psycopg", "")
    with closing(Connection.connect(where)) as one:
        one.execute("CREATE TABLE seen (number INT PRIMARY KEY DEFERRABLE INITIALLY DEFERRED)")
        one.commit()
        assert one.transact([(ADD, ["1"])]) == [[(1,)]]
        with pytest.raises(psycopg.errors.UniqueViolation):
            one.transact([(ADD, ["2"]), (ADD, ["1"]), (READ, ["é"])])
        assert one.transact([(ADD, ["2"]), (READ, ["é"])])[1] == [(1, False, "text é"), (2, True, "text é")]


def test_a_session_that_the_server_ends_is_an_error_at_once() -> None:
    from pymdc.bridge.store.postgresql import Connection

    ended = "SELECT pg_terminate_backend(pg_backend_pid()), $1"
    where = engines.shared_postgresql().create("ended").replace("+psycopg", "")
    with closing(Connection.connect(where)) as one:
        with pytest.raises(psycopg.OperationalError):
            one.transact([("SELECT $1", ["a"]), (ended, ["b"]), ("SELECT $1", ["c"])])
        assert one.closed


def test_a_signed_request_is_one_exchange_with_the_server(monkeypatch: pytest.MonkeyPatch) -> None:
    from pymdc.bridge.store.postgresql import Connection

    exchanges: list[object] = []
    wait = Connection.wait

    def counted(self: Connection, *arguments: Any) -> Any:
        exchanges.append(arguments)
        return wait(self, *arguments)

    with closing(Store(engines.shared_postgresql().create("oneexchange"))) as store:
        acceptance = store.acceptance()
        acceptance.accept([Claim("point", "1", Nonce(True, 1.0), buckets=True)])
        monkeypatch.setattr(Connection, "wait", counted)
        acceptance.accept([Claim("point", "2", Nonce(True, 2.0), buckets=True)])
        assert len(exchanges) == 1
        acceptance.close()
