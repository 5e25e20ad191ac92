"""A download: shards side by side, each checked as it arrives, and the whole at the end."""

from __future__ import annotations

import hashlib
import mimetypes
import re
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import TimeoutError as NotYetError
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from typing import Any

from .. import config
from ..core.dispatch import Handle
from ..core.exchange import back_off
from ..core.hashes import content_hash
from ..core.job import Job, Progress, ProgressCallback
from ..errors import ChannelError, IntegrityError, MetadiskError
from .channels import DataChannels, Pointer, ShardBuffer
from .names import safe_name
from .targets import Body, FileTarget, MemoryTarget, Target

__all__ = ["Download"]

_TICK_SECONDS = 0.1  # how often progress is told, and a cancelled call noticed, while no shard is complete
_MENDABLE = (OSError, HTTPException, ChannelError, IntegrityError)  # what another farmer or another token may mend


@dataclass(frozen=True)
class Download:
    """One download.

    Attributes:
        file_hash: the hash of the file.
        pointers: asks the bridge where the shards are; its arguments tell whether it is the first time, and for which
            job. What it raises ends the download.
        again: whether it may be asked more than once: a single token serves once.
        entry: asks the bridge for what it knows of the file: its name, size and type.
        channels: the data channels.
        job: ends the download when it is cancelled.
        progress: called with how many bytes are there, and how many there are in all, if that is known.
    """

    file_hash: str
    pointers: Callable[[bool, Job], Any]
    again: bool
    entry: Callable[[], dict[str, Any]]
    channels: DataChannels
    job: Job
    progress: ProgressCallback | None

    def to(self, place: Path | None, bucket_id: str) -> Any:
        """Fetch the file, and return its bytes; with a place, write it there, and return what it is.

        Raises:
            IntegrityError: the shards, each of them right, are together not the file.
            Exception: a shard could not be had; the values that `DataChannels.fetch` lists.
        """
        entry = self._known() if place is not None or self.progress is not None else {}
        size = entry.get("size") if isinstance(entry.get("size"), int) else None
        if place is None:
            target: Target = MemoryTarget()
        else:
            name = safe_name(self.file_hash, "file")
            place = place / safe_name(entry.get("filename"), name) if place.is_dir() else place
            target = FileTarget(place, name)
        try:
            got, result = self._fetch(target, size)
        finally:
            target.close()
        if place is None:
            return result
        told = {"bucket": bucket_id, "mimetype": mimetypes.guess_type(place.name)[0], "filename": place.name, **entry}
        return {**told, "size": got, "hash": self.file_hash, "path": str(place)}

    def _known(self) -> dict[str, Any]:
        try:
            return self.entry()
        except (MetadiskError, OSError, HTTPException):  # a token alone allows the download, but not to list the files
            return {}

    def _fetch(self, target: Target, size: int | None) -> tuple[int, Any]:
        pointers = _Pointers(self.pointers, self.again, self.job)
        progress = Progress(self.job, self.progress, size)
        digest = hashlib.sha256()
        done = 0

        def found(body: Body) -> None:
            nonlocal done
            self.job.check()
            digest.update(body)
            done += len(body)
            progress.reached(done)

        there = target.resume(pointers.hashes, found)
        with Prefetch(pointers, self.channels, target, self.job, lambda more: progress.reached(done + more)) as ahead:
            for index in range(there, len(pointers.hashes)):
                body = ahead.shard(index)
                target.append(pointers.hashes[index], body)
                found(body)
        if content_hash(digest.hexdigest()) != self.file_hash or size not in (None, done):
            target.discard()
            raise IntegrityError(f"the shards of {self.file_hash} do not make up the file")
        result = target.finish()
        progress.reached(done, last=True)
        return done, result


class _Pointers:
    """Where the shards are; asked for again when a channel's token is spent or a farmer fails."""

    def __init__(self, ask: Callable[[bool, Job], Any], again: bool, job: Job) -> None:
        self._ask = ask
        self._again = again
        self._lock = threading.Lock()  # guards the two below
        self._answers = 1
        self._current = _checked(ask(True, job))
        self.hashes = [str(pointer["hash"]) for pointer in self._current]

    def at(self, index: int) -> tuple[Pointer, int]:
        """Return the pointer of a shard, and which of the bridge's answers it is from."""
        with self._lock:
            return self._current[index], self._answers

    def renew(self, answer: int, job: Job) -> bool:
        """Ask again, unless somebody did since that answer. Return whether there are other pointers now."""
        with self._lock:
            job.check()
            if self._answers == answer and self._again:
                fresh = _checked(self._ask(False, job))
                if [str(pointer["hash"]) for pointer in fresh] != self.hashes:
                    raise IntegrityError("the file was stored anew, in other shards, while it was downloaded")
                self._current = fresh
                self._answers += 1
            return self._answers != answer


def _checked(pointers: Any) -> list[Pointer]:
    if isinstance(pointers, list) and all(isinstance(each, dict) and _is_hash(each.get("hash")) for each in pointers):
        return pointers
    raise ChannelError("the bridge did not answer with pointers")


def _is_hash(value: object) -> bool:
    return isinstance(value, str) and re.fullmatch("[0-9a-f]{40}", value) is not None


class Prefetch:
    """Fetches shards in their order, a few of them ahead of the one that is waited for."""

    def __init__(
        self, pointers: _Pointers, channels: DataChannels, target: Target, job: Job, tell: Callable[[int], None]
    ) -> None:
        self._pointers = pointers
        self._channels = channels
        self._target = target
        self._job = job
        self._part = job.part()
        self._tell = tell
        self._under_way: deque[tuple[int, Handle]] = deque()
        # A shard is begun when the one so many places before it has been dealt with, so these serve in turn.
        self._gathered = [ShardBuffer() for _ in range(config.SHARDS_AHEAD)]

    def __enter__(self) -> Prefetch:
        return self

    def __exit__(self, *_: object) -> None:
        """Stop what is under way, and see it end; keep what had come before its turn."""
        self._part.cancel()
        for index, handle in self._under_way:
            if not isinstance(body := handle.result(), BaseException):
                self._target.keep(self._pointers.hashes[index], body)

    def shard(self, index: int) -> Body:
        """Wait for a shard: the first one, or the one after that of the last time, which is good no longer."""
        self._place(index - 1).clear()
        last = min(index + config.SHARDS_AHEAD, len(self._pointers.hashes))
        for begin in range(index + len(self._under_way), last):
            self._begin(begin)
        handle = self._under_way[0][1]
        while True:
            self._job.check()
            try:
                body = handle.result(_TICK_SECONDS)
            except NotYetError:
                self._tell(sum(body.size for body in self._gathered))
                continue
            self._under_way.popleft()
            if isinstance(body, BaseException):
                raise body
            return body  # type: ignore[no-any-return]

    def _begin(self, index: int) -> None:
        handle = self._channels.dispatcher.run(lambda _: self._fetch(index), _nothing, None)
        self._under_way.append((index, handle))

    def _fetch(self, index: int) -> Body:
        body = self._target.kept(self._pointers.hashes[index])
        if body is not None:
            return body
        for attempt in range(1, config.MAX_ATTEMPTS):
            pointer, answer = self._pointers.at(index)
            try:
                return self._fetch_once(index, pointer)
            except _MENDABLE:
                if not self._pointers.renew(answer, self._part):
                    raise
                back_off(attempt)
        return self._fetch_once(index, self._pointers.at(index)[0])

    def _fetch_once(self, index: int, pointer: Pointer) -> Body:
        body = self._place(index)
        self._channels.fetch(pointer, self._part, body)
        return body.whole()

    def _place(self, index: int) -> ShardBuffer:
        return self._gathered[index % config.SHARDS_AHEAD]


def _nothing(_value: object) -> None:
    pass
