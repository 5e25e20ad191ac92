"""Cleaning up: what expired, what was deleted, and what processes that died left behind."""

from __future__ import annotations

import logging

import anyio

from .blobs import Blobs
from .context import Bridge, now
from .errors import Refused
from .settings import SWEEP_SECONDS
from .store import Store

__all__ = ["run", "sweep"]

_log = logging.getLogger("pymdc.bridge")


async def run(bridge: Bridge) -> None:
    """Clean up now, and from then on every `SWEEP_SECONDS`, until cancelled."""
    while True:
        try:
            await bridge.in_store(sweep, bridge.store, bridge.blobs, now())
        except Refused as error:
            _log.warning("cleaning up is put off: %s", error)
        await anyio.sleep(SWEEP_SECONDS)


def sweep(store: Store, blobs: Blobs, time: int) -> None:
    """Clean up once, as of `time`. Any number of processes may do so at once.

    A blob is removed before it is forgotten, so whoever is killed in between leaves nothing that is not found again.
    """
    store.files.sweep(time)
    store.users.sweep(time)
    store.registrations.sweep(time)
    for upload in store.files.dead_uploads():
        blobs.delete_upload(upload)
        store.files.removed_upload(upload)
    for blob in store.files.unused_blobs():
        blobs.delete(blob)
        store.files.removed_blob(blob)
