"""Contents and their shards: stored once, with a count of references, and removed when the count is 0.

Each upload writes its own blobs, under names that no other upload uses. Its last step is one transaction that lists the
file. For each shard, that transaction either uses the blob that is in the database already and marks its own as
garbage, or it adds its own. So nothing refers to a blob that is garbage, now or later, and any process may remove it.

A transaction changes rows before it reads them, and all transactions do so in the same order. So two of them may wait
for each other's rows, but never in a circle (a deadlock).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from .tables import content_shards, contents, garbage, shards

__all__ = ["AT_ONCE", "Shard", "Stored", "add", "heal", "mark_garbage", "release", "release_shard"]


_COUNT = {
    table: table.update()
    .where(table.c.hash == sa.bindparam("given"))
    .values(references=table.c.references + sa.bindparam("more"))
    for table in (contents, shards)
}  # made once: to make a statement costs as much as to run it
AT_ONCE = 500  # values in one statement: each database has a limit, and all limits are higher


@dataclass(frozen=True)
class Shard:
    """A shard in the store: its hash, its size in bytes, and the name of the blob that holds it."""

    hash: str
    size: int
    blob: str


@dataclass(frozen=True)
class Stored:
    """A file whose shards are in the store. `shards` are in their order in the file."""

    hash: str
    size: int
    shards: tuple[Shard, ...]


def add(connection: sa.Connection, stored: Stored, broken: Collection[str] = ()) -> None:
    """Add one reference to a content, which is inserted if it is new.

    Arguments:
        broken: names of blobs that are missing or too short. Their shards, and shards that are marked as suspect, use
            the blobs of `stored` from now on.
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
    """Use the blobs of `stored` in place of those that are suspect or `broken`, and mark the rest as garbage."""
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
    mark_garbage(connection, unused.values())


def release(connection: sa.Connection, names: Iterable[str], by: int = 1) -> None:
    """Remove one reference, or `by` references, from each of these contents.

    A content without references is removed, and so is each of its shards that no other content uses.
    """
    released: list[str] = []
    for name in sorted(names):
        _count(connection, contents, name, -by)
        unused = contents.c.hash == name, contents.c.references == 0
        if connection.execute(sa.select(contents.c.hash).where(*unused)).one_or_none() is not None:
            released += _take_apart(connection, name)
    for name, times in sorted(Counter(released).items()):
        release_shard(connection, name, times)


def release_shard(connection: sa.Connection, name: str, by: int) -> None:
    """Remove `by` references from a shard. A shard without references is removed."""
    _count(connection, shards, name, -by)
    gone = shards.delete().where(shards.c.hash == name, shards.c.references == 0)
    mark_garbage(connection, connection.execute(gone.returning(shards.c.blob)).scalars().all())


def _take_apart(connection: sa.Connection, content: str) -> set[str]:
    made_of = content_shards.delete().where(content_shards.c.content == content)
    names = set(connection.execute(made_of.returning(content_shards.c.shard)).scalars())
    connection.execute(contents.delete().where(contents.c.hash == content))
    return names


def mark_garbage(connection: sa.Connection, blobs: Iterable[str]) -> None:
    """Mark blobs as garbage: `cleaning.py` removes them from the store later."""
    rows = [{"blob": blob} for blob in blobs]
    if rows:
        connection.execute(garbage.insert(), rows)


def _count(connection: sa.Connection, table: sa.Table, name: str, by: int) -> bool:
    return bool(connection.execute(_COUNT[table], {"given": name, "more": by}).rowcount)
