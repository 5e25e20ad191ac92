"""Contents and their shards: kept once, counted, and given up when nothing points to them.

Each upload writes blobs of its own, under names that nobody else uses, and its last step is one transaction that
lists the file. That transaction uses a shard that is there already, and gives up its own copy, or puts in its own.
So a blob that was given up is never pointed to again, and may be removed at any later time by anyone.

Rows are changed before they are looked at, and in one order, so that transactions wait for each other where they
must, and never in a circle.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from .tables import content_shards, contents, garbage, shards

__all__ = ["AT_ONCE", "Shard", "Stored", "discard", "heal", "keep", "throw_away"]


AT_ONCE = 500  # values in one statement: databases have a limit, and none has so low a one


@dataclass(frozen=True)
class Shard:
    """A shard in the store: its hash, its size in bytes, and the name of the blob that holds it."""

    hash: str
    size: int
    blob: str


@dataclass(frozen=True)
class Stored:
    """A file whose shards, in order, are in the store."""

    hash: str
    size: int
    shards: tuple[Shard, ...]


def keep(connection: sa.Connection, stored: Stored, broken: Collection[str] = ()) -> None:
    """Count one more entry of a content; put it in if it is new.

    Arguments:
        broken: names of blobs that were found missing or cut short. Their shards, and those that are marked as
            suspect, take the blobs of `stored` from now on.
    """
    own = {shard.hash: shard for shard in stored.shards}
    if _count(connection, contents, stored.hash, 1):
        heal(connection, stored, broken)
        return
    connection.execute(contents.insert().values(hash=stored.hash, size=stored.size, references=1))
    known = {name for name in sorted(own) if _count(connection, shards, name, 1)}
    _heal(connection, [own[name] for name in sorted(known)], broken)
    new = [
        {"hash": name, "size": own[name].size, "blob": own[name].blob, "references": 1}
        for name in sorted(own.keys() - known)
    ]
    if new:
        connection.execute(shards.insert(), new)
    rows = [
        {"content": stored.hash, "position": position, "shard": shard.hash}
        for position, shard in enumerate(stored.shards)
    ]
    if rows:
        connection.execute(content_shards.insert(), rows)


def heal(connection: sa.Connection, stored: Stored, broken: Collection[str] = ()) -> None:
    """Use the blobs of `stored` where those that are kept are suspect or `broken`, and throw the others away."""
    own = {shard.hash: shard for shard in stored.shards}
    _heal(connection, [own[name] for name in sorted(own)], broken)


def _heal(connection: sa.Connection, own: Sequence[Shard], broken: Collection[str]) -> None:
    unused = {shard.hash: shard.blob for shard in own}
    for start in range(0, len(own), AT_ONCE):
        of_these = shards.c.hash.in_([shard.hash for shard in own[start : start + AT_ONCE]])
        for row in connection.execute(sa.select(shards.c.hash, shards.c.blob, shards.c.suspect).where(of_these)).all():
            same = shards.update().where(shards.c.hash == row.hash, shards.c.blob == row.blob)
            replace = same.values(blob=unused[row.hash], suspect=False)
            if (row.suspect or row.blob in broken) and connection.execute(replace).rowcount:
                unused[row.hash] = row.blob
    throw_away(connection, unused.values())


def discard(connection: sa.Connection, names: Iterable[str]) -> None:
    """Count one entry of each of these contents less.

    A content without any goes, and so does each shard that nothing else is made of.
    """
    given_up: list[str] = []
    for name in sorted(names):
        _count(connection, contents, name, -1)
        unused = contents.c.hash == name, contents.c.references == 0
        if connection.execute(sa.select(contents.c.hash).where(*unused)).one_or_none() is not None:
            given_up += _take_apart(connection, name)
    for name, times in sorted(Counter(given_up).items()):
        _count(connection, shards, name, -times)
        gone = shards.delete().where(shards.c.hash == name, shards.c.references == 0)
        throw_away(connection, connection.execute(gone.returning(shards.c.blob)).scalars().all())


def _take_apart(connection: sa.Connection, content: str) -> set[str]:
    made_of = content_shards.delete().where(content_shards.c.content == content)
    names = set(connection.execute(made_of.returning(content_shards.c.shard)).scalars())
    connection.execute(contents.delete().where(contents.c.hash == content))
    return names


def throw_away(connection: sa.Connection, blobs: Iterable[str]) -> None:
    """Note blobs as to be removed."""
    rows = [{"blob": blob} for blob in blobs]
    if rows:
        connection.execute(garbage.insert(), rows)


def _count(connection: sa.Connection, table: sa.Table, name: str, by: int) -> bool:
    change = table.update().where(table.c.hash == name).values(references=table.c.references + by)
    return bool(connection.execute(change).rowcount)
