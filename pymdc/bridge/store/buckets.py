"""Buckets."""

from __future__ import annotations

import itertools
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa

from ..errors import Refused
from ..fields import Key
from .allowances import NO_LIMIT, Allowance, allow_bucket
from .database import Database
from .tables import bucket_keys, buckets, deleted_buckets

__all__ = ["Bucket", "Buckets", "delete_buckets", "load_bucket", "lock_bucket"]

_PAGE = 500  # buckets in memory at once for a list
_KEYS = 10_000  # keys of buckets in memory at once for a list (one bucket may have more): about 5 MB

# Made once: to make a statement costs as much as to run it.
_FIND = buckets.select().where(buckets.c.id == sa.bindparam("given"))
_FIND_OWN = _FIND.where(buckets.c.email == sa.bindparam("owner"))
_FIND_KEYS = bucket_keys.select().where(bucket_keys.c.bucket == sa.bindparam("given")).order_by(bucket_keys.c.position)
_LOCK = buckets.update().where(buckets.c.id == sa.bindparam("given")).values(stored=buckets.c.stored)


@dataclass(frozen=True)
class Bucket:
    """A bucket. `storage` and `transfer` are limits in GB; `stored` and `sent` are what was used, in bytes."""

    id: str
    email: str
    name: str | None
    storage: float
    transfer: float
    created: int
    stored: int
    sent: int
    keys: tuple[Key, ...]
    number: int = field(default=0, compare=False)  # it orders the buckets of a user


class Buckets:
    """The buckets in the database. Every method may raise `Unavailable`.

    Most methods ask for the owner: for anybody else, the bucket does not exist.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def create(
        self, email: str, fields: dict[str, Any], keys: Sequence[Key], now: int, allowance: Allowance = NO_LIMIT
    ) -> Bucket:
        """Make a bucket. `fields` are its name, storage and transfer.

        Raises:
            Refused: the account has as many buckets as it may have.
        """
        # An id is the time in seconds and sixteen random digits, as in the database of the bridges of 2016.
        bucket = f"{now // 1000 & 0xFFFFFFFF:08x}{secrets.token_hex(8)}"
        row = {**fields, "id": bucket, "email": email, "created": now, "stored": 0, "sent": 0}
        with self._database.write() as connection:
            allow_bucket(connection, email, allowance)
            connection.execute(buckets.insert().values(row))
            _put_keys(connection, bucket, keys)
            return load_bucket(connection, bucket, email)

    def page(self, email: str, after: int = 0) -> tuple[list[Bucket], bool]:
        """Return the next buckets of a user, oldest first, and whether there may be more.

        If buckets have many keys, fewer buckets are returned, so that they fit into memory; but at least one.

        Arguments:
            after: the number of the last bucket that is known.
        """
        query = buckets.select().where(buckets.c.email == email, buckets.c.number > after).order_by(buckets.c.number)
        with self._database.read() as connection:
            found = connection.execute(query.limit(_PAGE)).all()
            rows = _with_few_keys(connection, found)
            by_bucket: dict[str, list[Key]] = {}
            of_these = bucket_keys.c.bucket.in_([row.id for row in rows])
            for row in connection.execute(bucket_keys.select().where(of_these).order_by(bucket_keys.c.position)):
                by_bucket.setdefault(row.bucket, []).append((row.text, row.point))
        page = [_bucket(row, by_bucket.get(row.id, ())) for row in rows]
        return page, len(found) == _PAGE or len(rows) < len(found)

    def get(self, bucket: str, email: str | None = None) -> Bucket:
        """Return a bucket of `email`; if that is `None`, a bucket of any owner.

        Raises:
            Refused: there is none.
        """
        with self._database.read() as connection:
            return load_bucket(connection, bucket, email)

    def change(self, bucket: str, email: str, fields: dict[str, Any], keys: Sequence[Key] | None) -> Bucket:
        """Change some of a bucket's name, storage and transfer, and, unless `None`, all of its keys.

        Raises:
            Refused: there is no such bucket.
        """
        with self._database.write() as connection:
            found = load_bucket(connection, bucket, email)
            if fields:
                connection.execute(buckets.update().where(buckets.c.id == found.id).values(fields))
            if keys is not None:
                connection.execute(bucket_keys.delete().where(bucket_keys.c.bucket == found.id))
                _put_keys(connection, found.id, keys)
            return load_bucket(connection, found.id, email)

    def delete(self, bucket: str, email: str) -> None:
        """Remove a bucket. It disappears at once; its files are removed later, see `Leftovers`.

        Raises:
            Refused: there is no such bucket.
        """
        with self._database.write() as connection:
            found = load_bucket(connection, bucket, email)
            lock_bucket(connection, found.id)
            delete_buckets(connection, [found.id])


def load_bucket(connection: sa.Connection, bucket: str, email: str | None) -> Bucket:
    """Return a bucket of `email`; if that is `None`, a bucket of any owner.

    Raises:
        Refused: there is none.
    """
    query = _FIND if email is None else _FIND_OWN
    row = connection.execute(query, {"given": bucket.lower(), "owner": email}).one_or_none()
    if row is None:
        raise Refused(404, "Bucket not found")
    return _bucket(row, [(key.text, key.point) for key in connection.execute(_FIND_KEYS, {"given": row.id})])


def lock_bucket(connection: sa.Connection, bucket: str) -> None:
    """Keep other transactions from storing or deleting files in a bucket, and from deleting it.

    Every transaction that does so begins here. A statement sees what was there before it waited, so what depends on
    the lock is asked in the next statement.

    Raises:
        Refused: there is no such bucket.
    """
    if not connection.execute(_LOCK, {"given": bucket}).rowcount:
        raise Refused(404, "Bucket not found")


def delete_buckets(connection: sa.Connection, names: Sequence[str]) -> None:
    """Remove buckets, and note that a clean-up must remove their files."""
    if names:
        connection.execute(deleted_buckets.insert(), [{"bucket": name} for name in names])
        connection.execute(buckets.delete().where(buckets.c.id.in_(names)))


def _with_few_keys(connection: sa.Connection, rows: Sequence[sa.Row[Any]]) -> Sequence[sa.Row[Any]]:
    of_these = bucket_keys.c.bucket.in_([row.id for row in rows])
    query = (
        sa.select(bucket_keys.c.bucket, sa.func.count().label("held")).where(of_these).group_by(bucket_keys.c.bucket)
    )
    counts = {row.bucket: row.held for row in connection.execute(query)}
    total = itertools.accumulate(counts.get(row.id, 0) for row in rows)
    return rows[: max(1, sum(keys <= _KEYS for keys in total))]


def _bucket(row: sa.Row[Any], keys: Sequence[Key]) -> Bucket:
    return Bucket(
        row.id,
        row.email,
        row.name,
        row.storage,
        row.transfer,
        row.created,
        row.stored,
        row.sent,
        tuple(keys),
        row.number,
    )


def _put_keys(connection: sa.Connection, bucket: str, keys: Sequence[Key]) -> None:
    rows = [
        {"bucket": bucket, "position": position, "text": text, "point": point}
        for position, (text, point) in enumerate(keys)
    ]
    if rows:
        connection.execute(bucket_keys.insert(), rows)
