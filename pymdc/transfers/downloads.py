"""A download: fetch several shards at once, check each when it arrives, and check the whole file at the end."""

from __future__ import annotations

import hashlib
import mimetypes
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http.client import HTTPException
from itertools import islice
from pathlib import Path
from typing import Any

from .. import config
from ..core.exchange import Exchange
from ..core.hashes import content_hash
from ..core.job import Job, Progress, ProgressCallback
from ..errors import IntegrityError, MetadiskError
from . import mixtures
from .access import Access, ask
from .hashing import add_to, turn
from .places import Place
from .pointers import Pointers
from .prefetch import Prefetch
from .shards import Body
from .targets import FileTarget, MemoryTarget, Target

__all__ = ["Download"]


@dataclass(frozen=True)
class Download:
    """One download.

    Attributes:
        access: the bucket.
        file_hash: the hash of the file.
        token: a PULL token; `None` to ask for one.
        known: the file's entry in a list, if the caller gave it; else nothing.
        path: the file or the folder to write to, as for `Place.of`; `None` to return the bytes.
        exists: what to do if the file exists already; see `places.Place`.
        progress: called with how many bytes are there, and how many there are in all, if that is known.
    """

    access: Access
    file_hash: str
    token: str | None
    known: Mapping[str, Any]
    path: str | Path | None
    exists: str | None
    progress: ProgressCallback | None

    def run(self, exchange: Exchange, job: Job) -> Any:
        """Take all steps, and return the value of the call: the bytes, the file's entry with its path, or a refusal.

        Raises:
            IntegrityError: each shard is right, but together they are not the file.
            OSError: the file cannot be written there.
            Exception: a shard could not be fetched; `ShardSources.fetch` lists these errors.
        """
        try:
            entry = self._entry(exchange, job)
            if self.path is None:
                return _Fetching(self, exchange, job, MemoryTarget(), _size(entry)).run()[1]
            place = Place.of(self.path, self.exists, entry.get("filename"), self.file_hash)
            target = FileTarget(place, self.file_hash)
            size, path = _Fetching(self, exchange, job, target, _size(entry)).run()
            return self._written(entry, size, path)
        except MetadiskError as refusal:
            return refusal.value

    def _entry(self, exchange: Exchange, job: Job) -> Mapping[str, Any]:
        """Return the file's entry, if it is known. Ask the bridge for it if a name or a size is needed."""
        if "size" in self.known or (self.path is None and self.progress is None):
            return self.known
        try:
            listed = ask(self.access.call("GET", "files"), exchange, job)
        except (MetadiskError, OSError, HTTPException):  # a token alone allows the download, but not to list the files
            job.check()
            return {}
        entries = listed if isinstance(listed, list) else []
        ours = (each for each in entries if isinstance(each, dict) and each.get("hash") == self.file_hash)
        return next(ours, {})

    def _written(self, entry: Mapping[str, Any], size: int, path: Path) -> dict[str, Any]:
        about = {"bucket": self.access.bucket_id, "mimetype": mimetypes.guess_type(path.name)[0], "filename": path.name}
        return {**about, **entry, "size": size, "hash": self.file_hash, "path": str(path)}


def _size(entry: Mapping[str, Any]) -> int | None:
    size = entry.get("size")
    return size if isinstance(size, int) else None


class _Fetching:
    """Fetches the bytes of one download into a target, and closes the target at the end.

    Arguments:
        size: the listed size of the file, if it is known.
    """

    def __init__(self, download: Download, exchange: Exchange, job: Job, target: Target, size: int | None) -> None:
        self._download = download
        self._exchange = exchange
        self._job = job
        self._target = target
        self._size = size
        self._progress = Progress(job, download.progress, size)
        self._sizes: dict[int, int] = {}  # of the shards, by the numbers of their pointers

    def run(self) -> tuple[int, Any]:
        """Fetch all. Return the size of the file, and what the target gives."""
        from .sources import ShardSources  # a program that downloads nothing does not load websockets

        try:
            self._sources = self._exchange.shared(ShardSources)
            self._pointers = Pointers(self._ask, self._download.access.gives_tokens, self._job)
            done = self._join(range(len(self._pointers.hashes)))
            if done is None and (order := self._search()) is not None:
                done = self._join(order)
            if done is None:
                self._target.forget()
                raise IntegrityError(f"the shards of {self._download.file_hash} do not make up the file")
            self._job.commit()
            result = self._target.finish()
            self._progress.reached(done, last=True)
            return done, result
        finally:
            self._target.close()

    def _ask(self, first: bool, job: Job) -> Any:
        access = self._download.access
        given = self._download.token if first else None
        token = given or access.token("PULL", self._exchange, job)
        headers = {"x-direct": "1"}  # a bridge that can gives the shards' URLs, too
        call = access.call("GET", "files", self._download.file_hash, token=token, headers=headers)
        return ask(call, self._exchange, job)

    def _join(self, order: Sequence[int]) -> int | None:
        """Append these shards to the target. Return their size, or `None` if they are not the file."""
        tally = _Tally(self._job, self._progress)
        there = self._target.resume([self._pointers.hashes[index] for index in order], tally.add)
        with self._prefetch(order[there:], tally) as shards:
            for shard, body in shards:
                if self._too_large(tally.size + len(body)):
                    self._target.save(shard, body)
                    return None
                with turn(self._job.for_window):
                    self._target.append(shard, body)
                tally.add(body)
        return tally.size if self._is_file(tally) else None

    def _search(self) -> Sequence[int] | None:
        """Find the file's shards among those of several uploads; return `None` if they are not there."""
        count = len(self._pointers.hashes)
        if count < 2:
            return None
        self._target.split()
        found = next((order for order in mixtures.strides(count) if self._matches(order)), None)
        if found is not None or self._size is None:
            return found
        orders = islice(mixtures.by_size(self._learned_sizes(), self._size), mixtures.MOST_GUESSES)
        return next((order for order in orders if self._matches(order)), None)

    def _matches(self, order: Sequence[int]) -> bool:
        """Tell whether these shards are the file. This may fetch shards, and keeps them."""
        if self._fetched_too_much():
            return False
        tally = _Tally(self._job, self._progress)
        with self._prefetch(order, tally) as shards:
            for index, (shard, body) in zip(order, shards, strict=True):
                self._keep(index, shard, body)
                tally.add(body)
                if self._too_large(tally.size):
                    return False
        return self._is_file(tally)

    def _learned_sizes(self) -> list[int]:
        """Fetch and keep all shards, and return their sizes; an empty list if they are too many."""
        with self._prefetch(range(len(self._pointers.hashes)), _Tally(self._job, self._progress)) as shards:
            for index, (shard, body) in enumerate(shards):
                if self._fetched_too_much():
                    return []
                self._keep(index, shard, body)
        return [self._sizes[index] for index in sorted(self._sizes)]

    def _keep(self, index: int, shard: str, body: Body) -> None:
        self._target.save(shard, body)
        self._sizes[index] = len(body)

    def _fetched_too_much(self) -> bool:
        """Tell whether more bytes were fetched than `MOST_UPLOADS` uploads of the file hold."""
        return self._size is not None and sum(self._sizes.values()) > mixtures.MOST_UPLOADS * self._size

    def _prefetch(self, order: Sequence[int], tally: _Tally) -> Prefetch:
        most = config.MAX_SHARD_BYTES if self._size is None else min(self._size, config.MAX_SHARD_BYTES)
        tell = tally.on_the_way
        return Prefetch(self._sources, self._pointers, order, self._target, self._job, tell, most)

    def _too_large(self, size: int) -> bool:
        return self._size is not None and size > self._size

    def _is_file(self, tally: _Tally) -> bool:
        return self._size in (None, tally.size) and tally.content_hash() == self._download.file_hash


class _Tally:
    """Counts and hashes the bytes of a file, and reports the progress."""

    def __init__(self, job: Job, progress: Progress) -> None:
        self.size = 0
        self._digest = hashlib.sha256()
        self._job = job
        self._progress = progress

    def add(self, body: Body) -> None:
        self._job.check()
        add_to(self._digest, body, self._job.for_window)
        self.size += len(body)
        self._progress.reached(self.size)

    def on_the_way(self, more: int) -> None:
        self._progress.reached(self.size + more)

    def content_hash(self) -> str:
        return content_hash(self._digest.hexdigest())
