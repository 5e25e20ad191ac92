"""Check that a store belongs to a database. Otherwise a bridge could remove the files of another one as orphans."""

from __future__ import annotations

from .blobs import Blobs
from .store import Store

__all__ = ["claim", "is_same", "require_shards"]

_SAMPLE = 20  # how many shards are looked for: one that is there is enough


def claim(store: Store, blobs: Blobs) -> None:
    """Check that the store belongs to the database. A new store gets the database's identity.

    Raises:
        ValueError: the store belongs to another database.
    """
    if blobs.identity() is None:
        blobs.mark(store.identity())
    if not is_same(store, blobs):
        raise ValueError("the store belongs to the database of another bridge: name the right --database and --store")


def require_shards(store: Store, blobs: Blobs) -> None:
    """Check that a store without an identity is not the empty place of a disk that is missing.

    A store of an early release has no identity, but it has shards. A database without shards may get a new store.

    Raises:
        ValueError: the database names shards, and the store has none of them.
    """
    if blobs.identity() is not None:
        return
    shards = store.inventory.shards_after("", _SAMPLE)
    if shards and all(blobs.size(shard.blob) is None for shard in shards):
        raise ValueError(
            f"the store {blobs.location} is empty, but the database names shards in it: mount its disk, or name the "
            "right --store. If all shards are lost, write the text "
            f"{store.identity()} into a file `identity` there: then the bridge starts without them"
        )


def is_same(store: Store, blobs: Blobs) -> bool:
    """Tell whether a database and a store belong together. A store without an identity belongs to no database."""
    return store.identity() == blobs.identity()
