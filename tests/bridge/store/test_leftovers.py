"""A deleted bucket is emptied in steps, and what a step costs does not depend on the number of files."""

from __future__ import annotations

import hashlib
import itertools
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from pymdc.bridge.store import Entry, Shard, Store, Stored, leftovers
from pymdc.bridge.store.contents import release_shards
from pymdc.bridge.store.tables import content_shards, contents, deleted_buckets, entries, metadata, shards

from ... import engines
from ..harness import run_sql, settings_for

BUCKET = "b" * 24
FILES = 3_000
ROUNDS = 5  # with others at once
_numbers = itertools.count(1)
# Blocks that the transaction has read of the files' table and of the indexes that begin with the bucket.
_BLOCKS = """SELECT CAST(sum(pg_stat_get_xact_blocks_fetched(oid)) AS integer) FROM pg_class
    WHERE relname IN ('entries', 'entries_by_number', 'entries_bucket_content_key')"""


def name_of(number: int) -> str:
    """A name such as hashes are: the order of such names is not that of the files."""
    return hashlib.sha1(b"%d" % number, usedforsecurity=False).hexdigest()


def fill(url: str, files: int) -> None:
    """Put files into a deleted bucket. Each has a shard of its own, and one that it shares with nine others."""
    names = [name_of(number) for number in range(files)]
    shared = [name_of(-1 - number) for number in range(0, files, 10)]
    pairs = [pair for number, name in enumerate(names) for pair in ((name, name), (name, shared[number // 10]))]
    values = {"size": 8}
    blobs = [{"hash": name, "references": 1, "blob": name, **values} for name in names]
    rows: list[tuple[sa.Table, list[dict[str, Any]]]] = [
        (contents, [{"hash": name, "references": 1, **values} for name in names]),
        (shards, blobs + [{"hash": name, "references": 10, "blob": name, **values} for name in shared]),
        (content_shards, [{"content": a, "position": place % 2, "shard": b} for place, (a, b) in enumerate(pairs)]),
        (entries, [{"bucket": BUCKET, "content": name, "filename": "a", "mimetype": "b"} for name in names]),
        (deleted_buckets, [{"bucket": BUCKET}]),
    ]
    with sa.create_engine(url, poolclass=sa.NullPool).begin() as connection:
        for table, some in rows:
            connection.execute(table.insert(), some)


@pytest.fixture
def postgresql() -> str:
    """A new database that has no statistics, in which deleted rows stay."""
    if engines.postgres_folder() is None:
        pytest.skip("PostgreSQL is missing")
    url = engines.shared_postgresql().create(f"leftovers{next(_numbers)}")
    Store(url).close()
    for table in metadata.tables:
        run_sql(url, f"ALTER TABLE {table} SET (autovacuum_enabled = false)")
    return url


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A new database of each kind."""
    if request.param == "postgresql":
        return str(request.getfixturevalue("postgresql"))
    return settings_for(tmp_path, database=None).database_url


@contextmanager
def statements(store: Store) -> Iterator[list[str]]:
    """Note each statement that the store runs."""
    noted: list[str] = []

    def note(_: Any, __: Any, statement: str, *___: Any) -> None:
        noted.append(statement)

    sa.event.listen(store._database._engine, "before_cursor_execute", note)
    yield noted
    sa.event.remove(store._database._engine, "before_cursor_execute", note)


@contextmanager
def old_transaction(url: str) -> Iterator[None]:
    """A transaction that still sees what is deleted from now on, as that of a backup does."""
    engine = sa.create_engine(url, poolclass=sa.NullPool, isolation_level="REPEATABLE READ")
    with engine.connect() as connection:
        connection.execute(sa.select(entries.c.number).limit(1))
        yield


def test_a_step_runs_few_statements_for_any_number_of_files(url: str) -> None:
    with closing(Store(url)) as store, statements(store) as noted:
        fill(url, 1_000)
        counts = []
        while store.leftovers.empty_bucket():
            counts.append(len(noted))
            noted.clear()
    assert len(counts) <= 1_000 // leftovers._FILES + 2
    assert max(counts) <= 20
    assert all(run_sql(url, f"SELECT count(*) FROM {table}") == [(0,)] for table in ("entries", "shards", "contents"))
    assert run_sql(url, "SELECT count(*) FROM garbage") == [(1_100,)]


def test_a_step_reads_only_what_it_removes_though_deleted_rows_stay(postgresql: str) -> None:
    read: list[int] = []

    def note(connection: sa.Connection) -> None:
        read.append(connection.exec_driver_sql(_BLOCKS).scalar_one())
        connection.exec_driver_sql("SELECT pg_stat_force_next_flush()")  # count from 0 in the next transaction

    fill(postgresql, FILES)
    with closing(Store(postgresql)) as store, old_transaction(postgresql):
        sa.event.listen(store._database._engine, "commit", note)
        while store.leftovers.empty_bucket():
            pass
    steps = read[: FILES // leftovers._FILES]
    assert len(steps) == FILES // leftovers._FILES
    assert max(steps) < 4 * leftovers._FILES, steps  # one to find a file, one to remove it, and the way to them
    assert max(steps) - min(steps) < 20, steps


def test_the_next_files_come_from_an_index_without_a_sort_or_statistics(postgresql: str) -> None:
    fill(postgresql, FILES)
    dialect = sa.make_url(postgresql).get_dialect()()
    text = leftovers._next_files(BUCKET, 0).compile(dialect=dialect, compile_kwargs={"literal_binds": True})
    plan = "\n".join(row[0] for row in run_sql(postgresql, f"EXPLAIN {text}"))
    assert "Index Scan using entries_by_number" in plan, plan
    assert "Index Cond: (ROW(" in plan, plan
    assert "Sort" not in plan, plan


def test_rows_are_locked_in_the_order_of_their_names_and_not_as_they_lie_in_the_table(postgresql: str) -> None:
    """Who waits for the last one has all others: so nobody who takes them in this order waits in a circle."""
    first, last = "a" * 40, "b" * 40
    engine = sa.create_engine(postgresql, poolclass=sa.NullPool)
    with engine.begin() as connection:
        rows = [{"hash": name, "size": 8, "references": 2, "blob": name} for name in (last, first)]
        connection.execute(shards.insert(), rows)

    def release() -> None:
        with engine.begin() as connection:
            release_shards(connection, {last: 1, first: 1})

    waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted"
    with ThreadPoolExecutor(1) as pool, engine.connect() as other:
        other.execute(sa.select(shards).where(shards.c.hash == last).with_for_update())
        released = pool.submit(release)
        while run_sql(postgresql, waiting) == [(0,)]:
            assert not released.done()
        nowait = sa.select(shards).where(shards.c.hash == first).with_for_update(nowait=True)
        with pytest.raises(sa.exc.OperationalError, match="could not obtain lock"):
            other.execute(nowait)
        other.rollback()
        released.result(20)
    assert run_sql(postgresql, 'SELECT sum("references") FROM shards') == [(2,)]


def test_uploads_and_deletions_that_share_shards_do_not_deadlock(postgresql: str) -> None:
    """Rows lie in the table in another order than that of their names."""
    with closing(Store(postgresql)) as store:
        store.users.create("a@example.com", "kept", None, "activation", 1)
        names = [name_of(number) for number in range(8)]
        together = threading.Barrier(2)

        def work(turn: int) -> None:
            for number in range(ROUNDS):
                together.wait(10)
                bucket = store.buckets.create("a@example.com", {"name": "b", "storage": 1, "transfer": 1}, [], 1).id
                for content in names[::-1] if turn else names:
                    upload = store.files.begin_repair(1)
                    own = names if (number + turn) % 2 else names[4:] + names[:4]
                    stored = Stored(content, 8, tuple(Shard(name, 8, f"{upload}/{name[:20]}") for name in own))
                    store.files.commit(upload, Entry(bucket, "a", "b", 8, content), stored)
                store.buckets.delete(bucket, "a@example.com")
                while store.leftovers.empty_bucket():
                    pass

        with ThreadPoolExecutor(2) as pool:
            assert list(pool.map(work, range(2))) == [None, None]
        assert run_sql(postgresql, "SELECT count(*) FROM shards") == [(0,)]
        assert store.inventory.miscounted() == []
