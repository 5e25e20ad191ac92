"""The files of buckets: their lists and their uploads."""

from __future__ import annotations

import secrets
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

import sqlalchemy as sa

from ..errors import Refused
from ..settings import GIGABYTE
from .allowances import NO_LIMIT, Allowance, allow_bytes
from .buckets import lock_bucket
from .contents import Shard, Stored, add, heal, release
from .database import Database
from .tables import buckets, contents, entries, shards, uploads
from .tokens import spend_token

__all__ = ["Entry", "Files"]

_PAGE = 100  # files in memory at once for a list; a name may have 16 KiB
_STORAGE_FULL = "The storage limit of the bucket is exceeded"

# Made once: to make a statement costs as much as to run it.
_END = uploads.delete().where(uploads.c.id == sa.bindparam("given"), uploads.c.dead.is_(False))
_KEPT = shards.select().where(shards.c.hash.in_(sa.bindparam("given", expanding=True)), shards.c.suspect.is_(False))
# A client may declare any number. The comparison also works for numbers that no integer of the database can hold.
_SAME_SIZE = contents.c.size == sa.bindparam("size", type_=sa.Double)
_KNOWN = sa.exists().where(entries.c.bucket == sa.bindparam("given"), entries.c.content == contents.c.hash, _SAME_SIZE)
_STORAGE = sa.select(buckets.c.stored, buckets.c.storage, _KNOWN).where(buckets.c.id == sa.bindparam("given"))
_SAME = sa.and_(entries.c.bucket == sa.bindparam("given"), entries.c.content == sa.bindparam("named"))
_LISTED = sa.select(entries.c.number).where(_SAME)
_RENAME = entries.update().where(_SAME).values(filename=sa.bindparam("name"), mimetype=sa.bindparam("kind"))
_MORE = buckets.c.stored + sa.bindparam("more", type_=sa.BigInteger)
# Divide instead of multiplying: PostgreSQL refuses a product that is too large.
_OCCUPY = (
    buckets.update()
    .where(buckets.c.id == sa.bindparam("given"), _MORE / float(GIGABYTE) <= buckets.c.storage)
    .values(stored=_MORE)
)


@dataclass(frozen=True)
class Entry:
    """A file in the list of a bucket. `number` gives the order of the list; it is 0 before the file is listed."""

    bucket: str
    mimetype: str
    filename: str
    size: int
    hash: str
    number: int = field(default=0, compare=False)


class Files:
    """The files in the database. Every method may raise `Unavailable`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def begin(self, token: str, bucket: str, size: float, now: int, allowance: Allowance = NO_LIMIT) -> str:
        """Begin an upload of `size` bytes: spend its token, and return the id of the upload.

        Raises:
            Refused: the token has been spent, or it can be known that the bucket cannot hold the file. Then the
                token is not spent.
        """
        upload = secrets.token_hex(16)
        with self._database.write() as connection:
            spend_token(connection, token, now)
            _check_storage(connection, bucket, size, allowance)
            connection.execute(uploads.insert().values(id=upload, touched=now, dead=False))
        return upload

    def touch(self, upload: str, now: int) -> None:
        """Note that an upload is still alive."""
        with self._database.write() as connection:
            connection.execute(uploads.update().where(uploads.c.id == upload).values(touched=now))

    def kept_shards(self, names: Collection[str]) -> Sequence[Shard]:
        """Return those of these shards (at most `AT_ONCE`) that are in the store and not suspect, with their blobs."""
        with self._database.read() as connection:
            rows = connection.execute(_KEPT, {"given": list(names)})
            return [Shard(row.hash, row.size, row.blob) for row in rows]

    def suspect(self, shard: Shard) -> None:
        """Mark a shard whose blob is missing or damaged as suspect: the next upload of the same bytes replaces it."""
        same = shards.update().where(shards.c.hash == shard.hash, shards.c.blob == shard.blob)
        with self._database.write() as connection:
            connection.execute(same.values(suspect=True))

    def begin_repair(self, now: int) -> str:
        """Begin an upload by the bridge itself, and return its id."""
        upload = secrets.token_hex(16)
        with self._database.write() as connection:
            connection.execute(uploads.insert().values(id=upload, touched=now, dead=False))
        return upload

    def replace(self, upload: str, shard: Shard) -> None:
        """End an upload by the bridge itself: its blob replaces that of a shard, if the shard is still suspect.

        Raises:
            Refused: the upload was given up as dead.
        """
        with self._database.write() as connection:
            _end(connection, upload)
            heal(connection, Stored(shard.hash, shard.size, (shard,)))

    def commit(
        self,
        upload: str,
        entry: Entry,
        stored: Stored,
        broken: Collection[str] = (),
        allowance: Allowance = NO_LIMIT,
    ) -> None:
        """List an uploaded file in its bucket. This is the last step of an upload.

        Arguments:
            broken: names of blobs that the store does not hold whole; see `contents.add`.

        Raises:
            Refused: the bucket is gone, or full, or the upload was given up as dead.
        """

        def work(connection: sa.Connection) -> None:
            _end(connection, upload)
            if not _listed(connection, entry):
                allow_bytes(connection, entry.bucket, stored.size, allowance)
            lock_bucket(connection, entry.bucket)
            if _renamed(connection, entry):
                heal(connection, stored, broken)
                return
            _occupy(connection, entry.bucket, stored.size)
            add(connection, stored, broken)
            values = {"filename": entry.filename, "mimetype": entry.mimetype}
            connection.execute(entries.insert().values(bucket=entry.bucket, content=stored.hash, **values))

        self._database.settle(work)

    def abandon(self, upload: str) -> bool:
        """Give up an upload that failed. Tell whether its blobs may be removed.

        They may not if the commit succeeded and only the database's answer was lost.
        """
        with self._database.write() as connection:
            change = uploads.update().where(uploads.c.id == upload).values(dead=True)
            return bool(connection.execute(change).rowcount)

    def page(self, bucket: str, after: int = 0) -> tuple[list[Entry], bool]:
        """Return the next files of a bucket, oldest first, and whether there may be more.

        Arguments:
            after: the number of the last file that is known.
        """
        query = sa.select(entries, contents.c.size).join(contents)
        query = query.where(entries.c.bucket == bucket, entries.c.number > after).order_by(entries.c.number)
        with self._database.read() as connection:
            rows = connection.execute(query.limit(_PAGE)).all()
        page = [Entry(row.bucket, row.mimetype, row.filename, row.size, row.content, row.number) for row in rows]
        return page, len(page) == _PAGE

    def delete(self, bucket: str, content: str) -> None:
        """Remove a file from a bucket.

        Raises:
            Refused: the bucket has no such file.
        """
        with self._database.write() as connection:
            lock_bucket(connection, bucket)
            gone = entries.delete().where(entries.c.bucket == bucket, entries.c.content == content)
            if not connection.execute(gone).rowcount:
                raise Refused(404, "File not found")
            size = sa.select(contents.c.size).where(contents.c.hash == content).scalar_subquery()
            mine = buckets.update().where(buckets.c.id == bucket)
            connection.execute(mine.values(stored=buckets.c.stored - size))
            release(connection, [content])


def _end(connection: sa.Connection, upload: str) -> None:
    if not connection.execute(_END, {"given": upload}).rowcount:
        raise Refused(503, "The upload stalled and was given up, try again")


def _check_storage(connection: sa.Connection, bucket: str, size: float, allowance: Allowance) -> None:
    row = connection.execute(_STORAGE, {"given": bucket, "size": size}).first()
    if row is None:
        raise Refused(404, "Bucket not found")
    stored, storage, may_be_known = row
    # The bucket may hold a file of that size already: if it is the same file, it takes no more space.
    if may_be_known:
        return
    if stored + size > storage * GIGABYTE:
        raise Refused(403, _STORAGE_FULL)
    allow_bytes(connection, bucket, size, allowance)


def _listed(connection: sa.Connection, entry: Entry) -> bool:
    return connection.execute(_LISTED, {"given": entry.bucket, "named": entry.hash}).first() is not None


def _renamed(connection: sa.Connection, entry: Entry) -> bool:
    row = {"given": entry.bucket, "named": entry.hash, "name": entry.filename, "kind": entry.mimetype}
    return bool(connection.execute(_RENAME, row).rowcount)


def _occupy(connection: sa.Connection, bucket: str, size: int) -> None:
    if not connection.execute(_OCCUPY, {"given": bucket, "more": size}).rowcount:
        raise Refused(403, _STORAGE_FULL)
