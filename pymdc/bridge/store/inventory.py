"""What the store should hold, according to the database, and whether the counts are right. `check` uses it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import sqlalchemy as sa

from .contents import Shard, release, release_shards
from .database import Database, retry_until
from .tables import buckets, content_shards, contents, entries, garbage, shards, uploads

__all__ = ["Inventory"]


class Inventory:
    """The contents of the store, according to the database. Every method may raise `Unavailable`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def shards_after(self, name: str, limit: int) -> Sequence[Shard]:
        """Return the next shards by hash, after `name`."""
        query = shards.select().where(shards.c.hash > name).order_by(shards.c.hash).limit(limit)
        with self._database.read() as connection:
            return [Shard(row.hash, row.size, row.blob) for row in connection.execute(query)]

    def holds(self, shard: Shard) -> bool:
        """Tell whether a shard is still in the database, with the same blob."""
        query = sa.select(shards.c.hash).where(shards.c.hash == shard.hash, shards.c.blob == shard.blob)
        with self._database.read() as connection:
            return connection.execute(query).first() is not None

    def files_with(self, shard: str) -> Sequence[tuple[str, str, str]]:
        """Return the files that a shard is a part of: owner, bucket, file name."""
        query = (
            sa.select(buckets.c.email, entries.c.bucket, entries.c.filename)
            .select_from(entries.join(buckets, buckets.c.id == entries.c.bucket))
            .join(content_shards, content_shards.c.content == entries.c.content)
            .where(content_shards.c.shard == shard)
            .distinct()
        )
        with self._database.read() as connection:
            return sorted((row.email, row.bucket, row.filename) for row in connection.execute(query))

    def unknown(self, blobs: Iterable[str]) -> set[str]:
        """Return those of `blobs` that no shard uses, no running upload writes, and that are not marked as garbage."""
        by_upload: dict[str, set[str]] = {}
        for blob in blobs:
            by_upload.setdefault(blob.partition("/")[0], set()).add(blob)
        names = set().union(*by_upload.values())
        with self._database.read() as connection:
            alive = connection.execute(sa.select(uploads.c.id).where(uploads.c.id.in_(by_upload))).scalars().all()
            for column in (shards.c.blob, garbage.c.blob):
                names -= set(connection.execute(sa.select(column).where(column.in_(names))).scalars())
        return names.difference(*(by_upload[upload] for upload in alive))

    def garbage_after(self, name: str, limit: int = 1000) -> Sequence[str]:
        """Return the next blobs that are to be removed, by name, after `name`."""
        query = sa.select(garbage.c.blob).where(garbage.c.blob > name).order_by(garbage.c.blob).limit(limit)
        with self._database.read() as connection:
            return connection.execute(query).scalars().all()

    def recount(self) -> Sequence[str]:
        """Correct wrong counts, and return a line for each one.

        Contents and shards that nothing uses are removed.
        """
        lines = []
        for what, (query, key, noted, found) in _COUNTS.items():
            with self._database.read() as connection, retry_until(connection):
                wrong: Sequence[Any] = connection.execute(query).all()
            for name in [row[0] for row in wrong]:
                # Change the row before counting: others that change the count change this row too, so they must wait.
                mine = noted.table.update().where(key == name)
                with self._database.write() as connection:
                    connection.execute(mine.values({noted: noted}))
                    connection.execute(mine.values({noted: found}))
                    _UNUSED.get(what, _keep)(connection, name)
                lines.append(f"the count of {what} {name}")
        return lines

    def miscounted(self) -> Sequence[str]:
        """Return a line for each wrong count: references to a file or a shard, and bytes in a bucket."""
        lines = []
        with self._database.read() as connection, retry_until(connection):
            for what, (query, *_) in _COUNTS.items():
                rows: Sequence[Any] = connection.execute(query).all()
                lines += [f"{what} {name}: {noted} noted, {found} found" for name, noted, found in rows]
        return lines


_Counted = tuple[sa.Select[Any], sa.Column[Any], sa.Column[Any], sa.ScalarSelect[Any]]


def _differing(name: sa.Column[Any], noted: sa.Column[Any], found: sa.ScalarSelect[Any]) -> _Counted:
    return sa.select(name, noted, found).where(noted != found).order_by(name), name, noted, found


def _count(column: sa.Column[Any], *of: sa.ColumnElement[bool]) -> sa.ScalarSelect[Any]:
    return sa.select(sa.func.count(column.distinct())).where(*of).scalar_subquery()


def _keep(_: sa.Connection, __: str) -> None:
    """Do nothing: a bucket stays when it is empty."""


_UNUSED: dict[str, Callable[[sa.Connection, str], None]] = {
    "shard": lambda connection, name: release_shards(connection, {name: 0}),
    "file": lambda connection, name: release(connection, [name], 0),
}  # how to remove a thing of each kind when its count is zero
_HELD = (
    sa.select(sa.cast(sa.func.coalesce(sa.func.sum(contents.c.size), 0), sa.BigInteger))
    .where(entries.c.content == contents.c.hash, entries.c.bucket == buckets.c.id)
    .scalar_subquery()
)
_COUNTS = {
    "shard": _differing(
        shards.c.hash, shards.c.references, _count(content_shards.c.content, content_shards.c.shard == shards.c.hash)
    ),
    "file": _differing(
        contents.c.hash, contents.c.references, _count(entries.c.number, entries.c.content == contents.c.hash)
    ),
    "bucket": _differing(buckets.c.id, buckets.c.stored, _HELD),
}
