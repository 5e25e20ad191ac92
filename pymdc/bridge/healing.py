"""Looking whether what is to be shared by a new upload is there: else the upload replaces it."""

from __future__ import annotations

import asyncio

from .context import Bridge
from .store import AT_ONCE, Shard, Stored

__all__ = ["broken_blobs"]


async def broken_blobs(bridge: Bridge, stored: Stored) -> set[str]:
    """Return the blobs that should hold the shards of an upload too, and are missing or cut short.

    This asks the store for their sizes and does not read them: a blob of the right size that is damaged is found when
    it is sent or checked, and then it is marked in the database.

    Raises:
        Unavailable: the database or the store is away.
    """
    broken: set[str] = set()
    names = sorted({shard.hash for shard in stored.shards})
    for start in range(0, len(names), AT_ONCE):
        kept = await bridge.in_database(bridge.store.files.kept_shards, names[start : start + AT_ONCE])
        whole = await asyncio.gather(*(bridge.in_store(_is_whole, bridge, shard) for shard in kept))
        broken |= {shard.blob for shard, good in zip(kept, whole, strict=True) if not good}
    return broken


def _is_whole(bridge: Bridge, shard: Shard) -> bool:
    return bridge.blobs.size(shard.blob) == shard.size
