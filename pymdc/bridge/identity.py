"""Check that a store belongs to a database. Otherwise a bridge could remove the files of another one as orphans."""

from __future__ import annotations

from .blobs import Blobs
from .store import Store

__all__ = ["claim", "is_same"]


def claim(store: Store, blobs: Blobs) -> None:
    """Check that the store belongs to the database. A new store gets the database's identity.

    Raises:
        ValueError: the store belongs to another database.
    """
    if blobs.identity() is None:
        blobs.mark(store.identity())
    if not is_same(store, blobs):
        raise ValueError("the store belongs to the database of another bridge: name the right --database and --store")


def is_same(store: Store, blobs: Blobs) -> bool:
    """Tell whether a database and a store belong together. A store without an identity belongs to no database."""
    return store.identity() == blobs.identity()
