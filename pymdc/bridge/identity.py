"""A database and its store carry the same identity, so that nobody takes the files of one for orphans of another."""

from __future__ import annotations

from .blobs import Blobs
from .store import Store

__all__ = ["claim", "is_same"]


def claim(store: Store, blobs: Blobs) -> None:
    """Write the database's identity into a store that has none yet.

    Raises:
        ValueError: the store belongs to another database.
    """
    if blobs.identity() is None:
        blobs.mark(store.identity())
    if not is_same(store, blobs):
        raise ValueError("the store belongs to the database of another bridge; name the right database and store")


def is_same(store: Store, blobs: Blobs) -> bool:
    """Tell whether a database and a store belong together. A store that no bridge has used yet belongs to none."""
    return store.identity() == blobs.identity()
