"""What a clean-up must remove: what has expired, what was deleted, and what dead processes have left behind.

Every transaction here is short, so that no request waits long for it. Work that may be long is done in steps.
"""

from __future__ import annotations

import itertools
from collections.abc import Collection, Sequence
from typing import Any

import sqlalchemy as sa

from ..settings import SHARD_BYTES, UPLOAD_LEASE_SECONDS
from .clock import database_time
from .contents import release
from .database import Database
from .nonces import forget_all
from .tables import bridge, channel_tokens, contents, deleted_buckets, entries, floors, garbage, shards, tokens, uploads

__all__ = ["Leftovers"]

_ROWS = 1000  # rows that one step deletes, if nothing else depends on them: some milliseconds
_FILES = 100  # files that one step takes from a deleted bucket, if they are small: some 10 ms
_SHARDS = 500  # shards of the files that one step takes; one file may have more


class Leftovers:
    """What a clean-up must remove, according to the database. Every method may raise `Unavailable`."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._emptied: dict[str, int] = {}  # the bucket that is being emptied, and the last file that was removed

    def expire(self, now: int) -> bool:
        """Remove some tokens that have expired, and tell whether there may be more."""
        with self._database.write() as connection:
            removed = [_expire(connection, table, now) for table in (tokens, channel_tokens)]
        return max(removed) == _ROWS

    def bury(self, now: int) -> None:
        """Give up the uploads that were not touched for so long that their process must have died."""
        with self._database.write() as connection:
            connection.execute(uploads.update().where(_silent(now)).values(dead=True))

    def empty_bucket(self) -> bool:
        """Remove some files from a deleted bucket, and tell whether there may be more to do."""
        with self._database.write() as connection:
            bucket = connection.execute(sa.select(deleted_buckets.c.bucket).limit(1)).scalar()
            if bucket is None:
                return False
            # One process at a time empties a bucket: its row is changed first.
            mine = deleted_buckets.c.bucket == bucket
            connection.execute(deleted_buckets.update().where(mine).values(bucket=bucket))
            # PostgreSQL keeps deleted rows for a while, so no step begins at the first row again.
            some = _some_files(connection, bucket, self._emptied.get(bucket, 0))
            if some:
                connection.execute(entries.delete().where(entries.c.number.in_([row.number for row in some])))
                release(connection, [row.content for row in some])
            elif not forget_all(connection, bucket, _ROWS):
                connection.execute(floors.delete().where(floors.c.subject == bucket))
                connection.execute(deleted_buckets.delete().where(mine))
        self._emptied = {bucket: some[-1].number} if some else {}
        return True

    def identity(self) -> str:
        """Return the identity of this database. It is random, and the store has the same one."""
        with self._database.read() as connection:
            return str(connection.execute(sa.select(bridge.c.identity)).scalar_one())

    def hold(self, seconds: int) -> None:
        """Forbid the removal of blobs for some time, because they are being copied."""
        with self._database.write() as connection:
            connection.execute(bridge.update().values(held=database_time() + seconds * 1000))

    def dead_uploads(self, now: int, limit: int = _ROWS) -> Sequence[str]:
        """Return some uploads whose blobs can be removed.

        They were not touched for a long time: for a younger one, an object store may still be writing the last blob.
        """
        in_use = sa.exists().where(shards.c.blob.between(uploads.c.id + "/", uploads.c.id + "0"))  # "0" follows "/"
        query = sa.select(uploads.c.id).where(uploads.c.dead.is_(True), _silent(now), ~in_use, ~_held()).limit(limit)
        with self._database.read() as connection:
            return connection.execute(query).scalars().all()

    def unused_blobs(self, after: str = "", limit: int = _ROWS) -> Sequence[str]:
        """Return some blobs that are garbage, by name, after the name `after`."""
        in_use = sa.exists().where(shards.c.blob == garbage.c.blob)
        query = sa.select(garbage.c.blob).where(garbage.c.blob > after, ~in_use, ~_held())
        with self._database.read() as connection:
            return connection.execute(query.order_by(garbage.c.blob).limit(limit)).scalars().all()

    def removed_uploads(self, names: Collection[str]) -> None:
        """Remove uploads from the database after their blobs were removed."""
        with self._database.write() as connection:
            connection.execute(uploads.delete().where(uploads.c.id.in_(names)))

    def removed_blobs(self, names: Collection[str]) -> None:
        """Remove blobs from the database after they were removed from the store."""
        with self._database.write() as connection:
            connection.execute(garbage.delete().where(garbage.c.blob.in_(names)))


def _expire(connection: sa.Connection, table: sa.Table, now: int) -> int:
    old = sa.select(table.c.token).where(table.c.expires <= now).order_by(table.c.expires).limit(_ROWS)
    names = connection.execute(old).scalars().all()
    return connection.execute(table.delete().where(table.c.token.in_(names))).rowcount if names else 0


def _some_files(connection: sa.Connection, bucket: str, after: int) -> Sequence[sa.Row[Any]]:
    rows = connection.execute(_next_files(bucket, after)).all()
    of_these = sa.select(contents.c.hash, contents.c.size).where(contents.c.hash.in_([row.content for row in rows]))
    sizes = {row.hash: row.size for row in connection.execute(of_these)}
    held = itertools.accumulate(1 + sizes[row.content] // SHARD_BYTES for row in rows)
    return rows[: max(1, sum(shards <= _SHARDS for shards in held))]


def _next_files(bucket: str, after: int) -> sa.Select[Any]:
    # The bucket and the number begin an index, and the inner query names nothing else. If it named the bucket alone as
    # well, PostgreSQL might take another index, read all files of the bucket and sort them: it expects few of them.
    place = sa.tuple_(entries.c.bucket, entries.c.number)
    rows = sa.select(entries.c.bucket, entries.c.number, entries.c.content)
    beyond = place > sa.tuple_(sa.literal(bucket), sa.literal(after))
    some = rows.where(beyond).order_by(entries.c.bucket, entries.c.number).limit(_FILES).subquery()
    return sa.select(some).where(some.c.bucket == bucket).order_by(some.c.number)


def _silent(now: int) -> sa.ColumnElement[bool]:
    return uploads.c.touched < now - UPLOAD_LEASE_SECONDS * 1000


def _held() -> sa.ColumnElement[bool]:
    return sa.exists().where(bridge.c.held > database_time())
