"""Clean up: remove what has expired, what was deleted, and what dead processes have left behind.

This runs in small steps. After each step that changed the database it pauses for as long as the step took, so that
requests are not delayed. When the bridge stops, it ends between two steps.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import anyio

from .blobs import Blobs
from .context import Bridge
from .errors import Unavailable
from .settings import SWEEP_SECONDS
from .store import Store

__all__ = ["run", "sweep"]

_CLOCK_SECONDS = 5.0  # how far the clocks of a bridge and its database may differ, before the log warns of it
_DAY = 24 * 3_600_000  # milliseconds
_log = logging.getLogger("pymdc.bridge")


async def run(bridge: Bridge) -> None:
    """Clean up now, and then every `SWEEP_SECONDS`, until cancelled. An error does not end it.

    A failure is noted in `bridge.condition`. The log says when failures begin and when they end.
    """
    while True:
        try:
            failed = await bridge.in_store(_sweep, bridge)
            _note(bridge, f"{failed} things could not be removed" if failed else "")
        except Unavailable as error:
            _note(bridge, error.message)
        except Exception as error:  # noqa: BLE001 -- a defect in one clean-up must not prevent the next ones
            _log.exception("cleaning up failed")
            _note(bridge, f"{type(error).__name__}, see the log")
        await anyio.sleep(SWEEP_SECONDS)


def _sweep(bridge: Bridge) -> int:
    bridge.store.measure_clock()
    _compare_clocks(bridge)
    if bridge.settings.activation_days:
        bridge.store.accounts.expire(bridge.now() - bridge.settings.activation_days * _DAY)
    return sweep(bridge.store, bridge.blobs, bridge.now(), lambda: bridge.limits.stopping)


def _compare_clocks(bridge: Bridge) -> None:
    """Warn once if the clocks differ: this machine dates logs and mails, the database dates tokens."""
    ahead = time.time() - bridge.now() / 1000
    differs = abs(ahead) > _CLOCK_SECONDS
    if differs and not bridge.condition.clock_differs:
        where = "ahead of" if ahead > 0 else "behind"
        _log.warning("this machine's clock is %.0f s %s the database's: set the wrong one", abs(ahead), where)
    bridge.condition.clock_differs = differs


def _note(bridge: Bridge, trouble: str) -> None:
    if trouble and not bridge.condition.cleaning:
        _log.warning("the clean-up failed and will be tried again: %s", trouble)
    if bridge.condition.cleaning and not trouble:
        _log.warning("cleaning up works again")
    bridge.condition.cleaning = trouble
    if not trouble:
        bridge.condition.cleaned = time.monotonic()


def sweep(store: Store, blobs: Blobs, now: int, stopping: Callable[[], bool] = lambda: False) -> int:
    """Clean up once, as of `now` by the database's clock. Any number of processes may do this at once.

    A blob is removed from the store first and from the database second. So if the process is killed between the two,
    the next clean-up finds the blob again.

    Arguments:
        stopping: asked between two steps whether to stop.

    Returns:
        How many blobs or uploads could not be removed. They stay in the database for the next time.

    Raises:
        Unavailable: the database or the store is away.
    """
    tally = _Tally(blobs)
    began = time.monotonic()
    for changed in _steps(store, blobs, now, tally):
        if stopping():
            break
        if changed:
            time.sleep(time.monotonic() - began)
        began = time.monotonic()
    return tally.failed


@dataclass
class _Tally:
    blobs: Blobs
    failed: int = 0

    def removed(self, remove: Callable[[str], None], name: str) -> bool:
        """Remove something, and tell whether that succeeded. Count failures."""
        try:
            remove(name)
        except Unavailable:
            self.blobs.check()  # raises if the whole store is away: then trying the others is useless
            self.failed += 1
            return False
        return True


def _steps(store: Store, blobs: Blobs, now: int, tally: _Tally) -> Iterator[bool]:
    """Take one step after the other. After each, yield whether it may have delayed others that write."""
    store.leftovers.bury(now)
    store.users.sweep(now)
    store.registrations.sweep(now)
    while store.leftovers.expire(now):
        yield True
    while store.leftovers.empty_bucket():
        yield True
    for upload in store.leftovers.dead_uploads(now):
        if tally.removed(blobs.delete_upload, upload):
            store.leftovers.removed_uploads([upload])
        yield False
    yield from _unused_blobs(store, blobs, tally)


def _unused_blobs(store: Store, blobs: Blobs, tally: _Tally) -> Iterator[bool]:
    page = store.leftovers.unused_blobs()
    while page:
        removed = []
        for blob in page:
            removed += [blob] if tally.removed(blobs.delete, blob) else []
            yield False
        store.leftovers.removed_blobs(removed)
        yield True
        page = store.leftovers.unused_blobs(after=page[-1])
