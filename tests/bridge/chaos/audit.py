"""Check that the database and the store of a bridge agree, from outside, with SQL of its own."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from itertools import groupby
from operator import itemgetter
from typing import Any

import obstore

from pymdc.bridge.settings import Settings

from ..harness import blob_names, connected_to, file_hash, object_store

Query = Callable[..., list[Any]]

_COUNTS = {
    "contents counted otherwise than entries": """
        SELECT hash FROM contents
        WHERE "references" != (SELECT count(*) FROM entries WHERE content = hash) OR "references" < 1""",
    "shards counted otherwise than contents": """
        SELECT hash FROM shards WHERE "references" < 1
        OR "references" != (SELECT count(DISTINCT content) FROM content_shards WHERE shard = hash)""",
    "contents whose shards do not add up": """
        SELECT contents.hash FROM contents WHERE size != (
            SELECT coalesce(sum(shards.size), 0) FROM content_shards JOIN shards ON shard = shards.hash
            WHERE content = contents.hash)""",
    "contents with a gap": """
        SELECT content FROM content_shards GROUP BY content
        HAVING min(position) != 0 OR max(position) != count(*) - 1""",
    "buckets that count other bytes than their files hold": """
        SELECT id FROM buckets WHERE stored != (
            SELECT coalesce(sum(size), 0) FROM entries JOIN contents ON content = hash WHERE bucket = buckets.id)""",
    "shards that are given up": "SELECT hash FROM shards JOIN garbage ON shards.blob = garbage.blob",
    "shards that share a blob": "SELECT blob FROM shards GROUP BY blob HAVING count(*) > 1",
}


def audit(settings: Settings, *, thorough: bool = True, clean: bool = False) -> list[str]:
    """Return a line for each fault.

    Arguments:
        thorough: whether each shard is read and hashed, and each file put together.
        clean: whether every blob in the store must belong to a shard; else the journal may explain it.
    """
    with connected_to(settings.database_url) as query:
        return list(_wrong(settings, query, thorough, clean))


def _wrong(settings: Settings, query: Query, thorough: bool, clean: bool) -> Iterator[str]:
    wrong = [f"{what}: {rows}" for what, statement in _COUNTS.items() if (rows := query(statement))]
    shards = query("SELECT hash, size, blob FROM shards")
    noted = _noted(query)  # a clean-up may forget them from now on
    there = blob_names(settings)
    wrong += [f"shard {name} is missing" for name, _, blob in shards if blob not in there]
    orphans = there - {blob for _, _, blob in shards}
    if not clean:
        noted |= _noted(query)
        orphans = {blob for blob in orphans if blob not in noted and blob[:32] not in noted}
    wrong += [f"{blob} is an orphan" for blob in orphans]
    yield from wrong
    if thorough and not wrong:
        yield from _damaged(settings, query, {name: (size, blob) for name, size, blob in shards})


def _noted(query: Query) -> set[str]:
    """The names of the blobs and uploads in the journal."""
    return {name for (name,) in query("SELECT blob FROM garbage UNION SELECT id FROM uploads")}


def _damaged(settings: Settings, query: Query, shards: dict[str, tuple[int, str]]) -> Iterator[str]:
    store = object_store(settings)
    listed = "SELECT hash, shard FROM contents LEFT JOIN content_shards ON content = hash ORDER BY hash, position"
    for content, rows in groupby(query(listed), itemgetter(0)):
        digest = hashlib.sha256()
        for name in filter(None, (shard for _, shard in rows)):  # an empty file has none
            size, blob = shards[name]
            data = bytes(obstore.get(store, blob).bytes())
            digest.update(data)
            if (file_hash(data), len(data)) != (name, size):
                yield f"shard {name} is damaged"
        if hashlib.new("ripemd160", digest.hexdigest().encode(), usedforsecurity=False).hexdigest() != content:
            yield f"file {content} is damaged"
