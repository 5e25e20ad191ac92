"""Repair the faults that a check has found: broken shards, wrong counts, and orphaned blobs."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence

from ..core.hashes import content_hash
from .blobs import Blobs
from .check import Findings
from .errors import Unavailable
from .identity import is_same
from .store import Shard, Store

__all__ = ["remove", "repair"]


def repair(store: Store, blobs: Blobs, findings: Findings, echo: Callable[[str], None]) -> int:
    """Repair what can be repaired.

    A broken shard is repaired if the store has the same bytes in an orphan or in a blob that is marked as garbage. The
    bytes are copied, because a clean-up may remove that blob at any time.

    Arguments:
        echo: called with a line for each fault that was repaired, or that cannot be.

    Returns:
        How many faults remain.

    Raises:
        Unavailable: the database or the store is away.
        ValueError: the store does not belong to the database.
    """
    _refuse_strangers(store, blobs)
    for line in store.inventory.recount():
        echo(f"repaired: {line}")
    missing = {shard.hash: shard for shard in findings.broken}
    if missing:
        for name in _spare(store, findings):
            data = _content(blobs, name)
            shard = missing.pop(content_hash(hashlib.sha256(data).hexdigest()), None)
            if shard is not None:
                _replace(store, blobs, shard, data)
                echo(f"repaired: shard {shard.hash}")
    for shard in missing.values():
        echo(f"not repaired: shard {shard.hash}; upload the same file again, or take the shard from a backup")
    return len(missing)


def remove(store: Store, blobs: Blobs, names: Sequence[str]) -> None:
    """Remove orphans. A blob that is in use by now is left alone.

    Raises:
        ValueError: the store does not belong to the database.
    """
    _refuse_strangers(store, blobs)
    for name in store.inventory.unknown(names):
        blobs.delete(name)


def _refuse_strangers(store: Store, blobs: Blobs) -> None:
    if not is_same(store, blobs):
        raise ValueError(
            "the store does not belong to this database, so nothing is changed; "
            "name the right --database and --store; if they are older than this release, start their bridge once"
        )


def _spare(store: Store, findings: Findings) -> Iterator[str]:
    yield from findings.orphans
    page = store.inventory.garbage_after("")
    while page:
        yield from page
        page = store.inventory.garbage_after(page[-1])


def _content(blobs: Blobs, name: str) -> bytes:
    try:
        return blobs.content(name)
    except Unavailable:
        return b""  # it has just been removed, or cannot be read either


def _replace(store: Store, blobs: Blobs, shard: Shard, data: bytes) -> None:
    upload = store.files.begin_repair(store.now())
    blob = f"{upload}/0"
    blobs.put(blob, data)
    store.files.replace(upload, Shard(shard.hash, shard.size, blob))
