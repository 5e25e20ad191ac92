"""Check that every shard in the database is in the store and undamaged, and find blobs that nothing uses.

It may run while bridges serve. A fault is checked a second time, because a bridge may just have changed something.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone

from ..core.hashes import content_hash
from .blobs import Blobs
from .errors import Unavailable
from .settings import UPLOAD_LEASE_SECONDS
from .store import Shard, Store

__all__ = ["Findings", "check"]

_AT_ONCE = 8  # shards that are read at the same time: S3 answers slowly, but serves many requests at once


@dataclass
class Findings:
    """The result of a check.

    Attributes:
        shards: how many shards were read back.
        size: their size, in bytes.
        wrong: one line of text for each fault.
        broken: the shards whose blobs are missing or damaged.
        orphans: the names of blobs that nothing uses.
        old: the orphans that are old enough to be removed, because no upload writes them any more.
        skipped: the names of objects in the store that no bridge has made.
    """

    shards: int = 0
    size: int = 0
    wrong: list[str] = field(default_factory=list)
    broken: list[Shard] = field(default_factory=list)
    orphans: list[str] = field(default_factory=list)
    old: list[str] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)


def check(store: Store, blobs: Blobs, echo: Callable[[str], None], pace: float = float("inf")) -> Findings:
    """Read every shard back, and look for other objects in the store.

    A missing or damaged shard is marked in the database. The next upload of the same bytes replaces it.

    Arguments:
        echo: called with a line for each fault, orphan and skipped object, as soon as it is found.
        pace: how many bytes to read in a second at most.

    Raises:
        Unavailable: the database or the store is away.
    """
    findings = Findings()
    for shard, verdict in _verdicts(store, blobs, pace):
        findings.shards += 1
        findings.size += shard.size
        if verdict and store.inventory.holds(shard):
            store.files.suspect(shard)
            findings.broken.append(shard)
            findings.wrong.append(f"{verdict}: shard {shard.hash} in {shard.blob}, of {_files(store, shard)}")
            echo(findings.wrong[-1])
    for line in store.inventory.miscounted():
        findings.wrong.append(f"miscounted: {line}")
        echo(findings.wrong[-1])
    _look_for_orphans(store, blobs, findings, echo)
    return findings


def _verdicts(store: Store, blobs: Blobs, pace: float) -> Iterator[tuple[Shard, str]]:
    page = store.inventory.shards_after("", _AT_ONCE)
    while page:
        due = time.monotonic() + sum(shard.size for shard in page) / pace
        yield from zip(page, asyncio.run(_examine_all(blobs, page)), strict=True)
        time.sleep(max(0.0, due - time.monotonic()))
        page = store.inventory.shards_after(page[-1].hash, _AT_ONCE)


async def _examine_all(blobs: Blobs, page: Sequence[Shard]) -> list[str]:
    return await asyncio.gather(*(_examine(blobs, shard) for shard in page))


async def _examine(blobs: Blobs, shard: Shard) -> str:
    digest, size = hashlib.sha256(), 0
    try:
        async for piece in blobs.read(shard.blob):
            digest.update(piece)
            size += len(piece)
    except Unavailable as error:
        await asyncio.to_thread(blobs.check)  # raises if the whole store is down: then the shard is not at fault
        return "missing" if isinstance(error.__cause__, FileNotFoundError) else "unreadable"
    whole = size == shard.size and content_hash(digest.hexdigest()) == shard.hash
    return "" if whole else "damaged"


def _files(store: Store, shard: Shard) -> str:
    files = [
        f"{json.dumps(name)} in bucket {bucket} of {email}"
        for email, bucket, name in store.inventory.files_with(shard.hash)
    ]
    return "; ".join(files) or "no file"


def _look_for_orphans(store: Store, blobs: Blobs, findings: Findings, echo: Callable[[str], None]) -> None:
    def skip(name: str) -> None:
        findings.skipped.append(name)
        echo(f"skipped: {json.dumps(name)} in the store was not made by a bridge")

    lease = datetime.now(timezone.utc) - timedelta(seconds=UPLOAD_LEASE_SECONDS)
    for page in blobs.pages(skip):
        written = dict(page)
        for name in sorted(store.inventory.unknown(written)):
            if blobs.size(name) is not None:  # else a bridge has just removed it
                findings.orphans.append(name)
                findings.old += [name] if written[name] < lease else []
                echo(f"orphaned: {name}, of {written[name]:%Y-%m-%d %H:%M}")
