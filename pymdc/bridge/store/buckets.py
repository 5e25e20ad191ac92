"""Buckets."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from ..errors import Refused
from ..fields import Key
from .contents import discard
from .database import Database
from .tables import bucket_keys, buckets, entries, signatures

__all__ = ["Bucket", "Buckets", "load_bucket"]


@dataclass(frozen=True)
class Bucket:
    """A bucket. `storage` and `transfer` are in GB, `stored` and `sent` (what was used of them) in bytes."""

    id: str
    email: str
    name: str | None
    storage: float
    transfer: float
    created: int
    stored: int
    sent: int
    keys: tuple[Key, ...]


class Buckets:
    """What the database knows of buckets. Every method may raise `Unavailable`.

    Whoever asks for a bucket names its owner: a bucket of somebody else is as unknown as one that is not there.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def create(self, email: str, fields: dict[str, Any], keys: Sequence[Key], now: int) -> Bucket:
        """Make a bucket. `fields` are its name, storage and transfer."""
        # An id is, as with the database of the old bridges, the time in seconds and sixteen random digits.
        bucket = f"{now // 1000 & 0xFFFFFFFF:08x}{secrets.token_hex(8)}"
        row = {**fields, "id": bucket, "email": email, "created": now, "stored": 0, "sent": 0}
        with self._database.write() as connection:
            connection.execute(buckets.insert().values(row))
            _put_keys(connection, bucket, keys)
            return load_bucket(connection, bucket, email)

    def of_user(self, email: str) -> list[Bucket]:
        """Return the buckets of a user, oldest first."""
        with self._database.read() as connection:
            mine = buckets.c.email == email
            keys = sa.select(bucket_keys).join(buckets).where(mine).order_by(bucket_keys.c.position)
            by_bucket: dict[str, list[Key]] = {}
            for row in connection.execute(keys):
                by_bucket.setdefault(row.bucket, []).append((row.text, row.point))
            rows = connection.execute(buckets.select().where(mine).order_by(buckets.c.number)).all()
        return [_bucket(row, by_bucket.get(row.id, ())) for row in rows]

    def get(self, bucket: str, email: str | None = None) -> Bucket:
        """Return a bucket of `email`, or of anyone.

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
        """Remove a bucket and its files.

        Raises:
            Refused: there is no such bucket.
        """
        with self._database.write() as connection:
            found = load_bucket(connection, bucket, email)
            # Whoever stores a file in the bucket changes its row, and so waits for this transaction, or this for that.
            connection.execute(buckets.update().where(buckets.c.id == found.id).values(stored=0))
            held = entries.delete().where(entries.c.bucket == found.id).returning(entries.c.content)
            discard(connection, connection.execute(held).scalars().all())
            connection.execute(signatures.delete().where(signatures.c.subject == found.id))
            connection.execute(buckets.delete().where(buckets.c.id == found.id))


def load_bucket(connection: sa.Connection, bucket: str, email: str | None) -> Bucket:
    """Return a bucket of `email`, or, where that is `None`, of anyone.

    Raises:
        Refused: there is none.
    """
    query = buckets.select().where(buckets.c.id == bucket.lower())
    if email is not None:
        query = query.where(buckets.c.email == email)
    row = connection.execute(query).one_or_none()
    if row is None:
        raise Refused(404, "Bucket not found")
    keys = bucket_keys.select().where(bucket_keys.c.bucket == row.id).order_by(bucket_keys.c.position)
    return _bucket(row, [(key.text, key.point) for key in connection.execute(keys)])


def _bucket(row: sa.Row[Any], keys: Sequence[Key]) -> Bucket:
    return Bucket(
        row.id, row.email, row.name, row.storage, row.transfer, row.created, row.stored, row.sent, tuple(keys)
    )


def _put_keys(connection: sa.Connection, bucket: str, keys: Sequence[Key]) -> None:
    rows = [
        {"bucket": bucket, "position": position, "text": text, "point": point}
        for position, (text, point) in enumerate(keys)
    ]
    if rows:
        connection.execute(bucket_keys.insert(), rows)
