"""Contents and their shards: stored once, with a count of references, and removed when the count is 0.

Each upload writes its own blobs, under names that no other upload uses. Its last step is one transaction that lists the
file. For each shard, that transaction either uses the blob that is in the database already and marks its own as
garbage, or it adds its own. So nothing refers to a blob that is garbage, now or later, and any process may remove it.

A transaction changes or locks rows before it reads them, and all transactions do so in the same order. So two of them
may wait for each other's rows, but never in a circle (a deadlock). One statement handles many rows: what a statement
costs is mostly the way to the database and back, and others wait for the transaction.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from .tables import content_shards, contents, garbage, shards

__all__ = ["AT_ONCE", "Shard", "Stored", "add", "heal", "mark_garbage", "release", "release_shards"]


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
    known = [name for name in sorted(own) if not _added(connection, own[name])]
    _heal(connection, [own[name] for name in known], broken)
    rows = [
        {"content": stored.hash, "position": position, "shard": shard.hash}
        for position, shard in enumerate(stored.shards)
    ]
    if rows:
        connection.execute(content_shards.insert(), rows)


def _added(connection: sa.Connection, shard: Shard) -> bool:
    """Add one reference to a shard, and tell whether it is new. All in order: to insert a row may wait for others."""
    if _count(connection, shards, shard.hash, 1):
        return False
    values = {"hash": shard.hash, "size": shard.size, "blob": shard.blob, "references": 1}
    connection.execute(shards.insert(), values)
    return True


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


def release(connection: sa.Connection, names: Collection[str], by: int = 1) -> None:
    """Remove one reference, or `by` references, from each of these contents.

    A content without references is removed, and so is each of its shards that no other content uses.
    """
    released: Counter[str] = Counter()
    for some in _parts(names):
        _lock(connection, contents, some)
        _count_all(connection, contents, some, -by)
        unused = sa.select(contents.c.hash).where(contents.c.hash.in_(some), contents.c.references == 0)
        released.update(_take_apart(connection, connection.execute(unused).scalars().all()))
    release_shards(connection, released)


def release_shards(connection: sa.Connection, times: Mapping[str, int]) -> None:
    """Remove references from shards: how many from which. A shard without references is removed."""
    for some in _parts(times):
        _lock(connection, shards, some)
        for by in {times[name] for name in some}:
            _count_all(connection, shards, [name for name in some if times[name] == by], -by)
        unused = shards.c.hash.in_(some), shards.c.references == 0
        connection.execute(garbage.insert().from_select(["blob"], sa.select(shards.c.blob).where(*unused)))
        connection.execute(shards.delete().where(*unused))


def _take_apart(connection: sa.Connection, names: Collection[str]) -> Iterable[str]:
    """Remove contents, and return their shards: once for each content that uses it."""
    if not names:
        return []
    made_of = content_shards.delete().where(content_shards.c.content.in_(names))
    pairs = connection.execute(made_of.returning(content_shards.c.content, content_shards.c.shard)).all()
    connection.execute(contents.delete().where(contents.c.hash.in_(names)))
    return [shard for _, shard in {tuple(pair) for pair in pairs}]


def mark_garbage(connection: sa.Connection, blobs: Iterable[str]) -> None:
    """Mark blobs as garbage: `cleaning.py` removes them from the store later."""
    rows = [{"blob": blob} for blob in blobs]
    if rows:
        connection.execute(garbage.insert(), rows)


def _count(connection: sa.Connection, table: sa.Table, name: str, by: int) -> bool:
    return bool(connection.execute(_COUNT[table], {"given": name, "more": by}).rowcount)


def _count_all(connection: sa.Connection, table: sa.Table, names: Sequence[str], by: int) -> None:
    """Change the counts of references of many rows, which are locked."""
    change = table.update().where(table.c.hash.in_(names)).values(references=table.c.references + by)
    connection.execute(change)


def _lock(connection: sa.Connection, table: sa.Table, names: Sequence[str]) -> None:
    """Lock rows in order: a statement that changes many rows takes them in any order."""
    if len(names) > 1:
        of_these = sa.select(table.c.hash).where(table.c.hash.in_(names))
        connection.execute(of_these.order_by(table.c.hash).with_for_update())


def _parts(names: Iterable[str]) -> Iterator[Sequence[str]]:
    """Cut names into parts for one statement each, in order."""
    in_order = sorted(names)
    for start in range(0, len(in_order), AT_ONCE):
        yield in_order[start : start + AT_ONCE]
