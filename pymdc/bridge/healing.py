"""Find damage before an upload shares stored shards: shards that are missing or too short are then replaced."""

from __future__ import annotations

import asyncio
from collections.abc import Collection

from .context import Bridge
from .store import AT_ONCE, Shard

__all__ = ["broken_blobs"]


async def broken_blobs(bridge: Bridge, shards: Collection[str]) -> set[str]:
    """Return the stored blobs of these shards, which an upload would share, that are missing or too short.

    This only asks the store for their sizes. A damaged blob of the right size is found when it is sent or checked; then
    it is marked as suspect in the database.

    Raises:
        Unavailable: the database or the store is away.
    """
    broken: set[str] = set()
    names = sorted(shards)
    for start in range(0, len(names), AT_ONCE):
        kept = await bridge.in_database(bridge.store.files.kept_shards, names[start : start + AT_ONCE])
        whole = await asyncio.gather(*(bridge.in_store(_is_whole, bridge, shard) for shard in kept))
        broken |= {shard.blob for shard, good in zip(kept, whole, strict=True) if not good}
    return broken


def _is_whole(bridge: Bridge, shard: Shard) -> bool:
    return bridge.blobs.size(shard.blob) == shard.size
