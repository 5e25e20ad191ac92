"""Fetch a few shards ahead, and give them in their order."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import TimeoutError as NotYetError
from contextlib import ExitStack
from http.client import HTTPException
from types import TracebackType
from typing import Protocol

from .. import config
from ..core.dispatch import Dispatcher, Handle
from ..core.exchange import back_off
from ..core.job import Job
from ..errors import ChannelError, IntegrityError
from .pointers import Pointers
from .shards import Body, BufferPool, Pointer, ShardBuffer
from .targets import Target

__all__ = ["Prefetch", "Sources"]

_TICK_SECONDS = 0.1  # how often progress is told, and a cancelled call noticed, while no shard is complete
_MENDABLE = (
    OSError,
    HTTPException,
    ChannelError,
    IntegrityError,
)  # errors that another farmer or another token may not meet


class Sources(Protocol):
    """Fetches shards by their pointers.

    Attributes:
        buffers: where shards are gathered.
    """

    buffers: BufferPool

    def dispatcher(self, job: Job) -> Dispatcher:
        """Return whose threads do that for a download."""

    def fetch(self, pointer: Pointer, job: Job, buffer: ShardBuffer) -> None:
        """Gather a shard, and verify it; raise what is documented for `ShardSources.fetch`."""


class Prefetch:
    """Fetches shards side by side and gives them in their order, while the context is open.

    Arguments:
        sources: where shards are fetched from.
        pointers: where the shards are.
        order: the shards that are wanted, by the numbers of their pointers.
        target: has shards from an earlier download, and keeps those that came before their turn.
        job: the download.
        tell: called, while a shard is waited for, with how many bytes have come that were not given yet.
        most: the largest shard that is taken, in bytes.
    """

    def __init__(
        self,
        sources: Sources,
        pointers: Pointers,
        order: Sequence[int],
        target: Target,
        job: Job,
        tell: Callable[[int], None],
        most: int,
    ) -> None:
        self._sources = sources
        self._pointers = pointers
        self._order = order
        self._target = target
        self._job = job
        self._part = job.part()
        self._threads = sources.dispatcher(job)
        self._tell = tell
        self._under_way: deque[tuple[int, Handle]] = deque()
        self._most = most
        # At most so many shards are under way, so each slot is free again when its next shard begins.
        self._buffers: list[ShardBuffer | None] = [None] * config.SHARDS_AHEAD
        self._open = ExitStack()

    def __enter__(self) -> Prefetch:
        self._open.enter_context(self._sources.buffers.in_use())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop the fetches under way, wait for their end, and keep the shards that had come before their turn."""
        with self._open:
            self._part.cancel()
            for place, handle in self._under_way:
                if not isinstance(body := handle.result(), BaseException):
                    self._target.save(self._hash_at(place), body)
                self._give_back(place)

    def __iter__(self) -> Iterator[tuple[str, Body]]:
        """Give each shard's hash and bytes; these are good until the next one is asked for.

        Raises:
            CancelledError: the job was cancelled.
            Exception: a shard could not be had; what `fetch` and the pointers raise.
        """
        begun = 0
        for place in range(len(self._order)):
            while begun < min(place + config.SHARDS_AHEAD, len(self._order)):
                self._begin(begun)
                begun += 1
            yield self._hash_at(place), self._next()
            self._give_back(place)

    def _begin(self, place: int) -> None:
        self._under_way.append((place, self._threads.run(lambda _: self._fetch(place), _nothing, None)))

    def _next(self) -> Body:
        handle = self._under_way[0][1]
        while True:
            self._job.check()
            try:
                body = handle.result(_TICK_SECONDS)
            except NotYetError:
                self._tell(sum(buffer.size for buffer in self._buffers if buffer is not None))
                continue
            self._under_way.popleft()
            if isinstance(body, BaseException):
                raise body
            return body  # type: ignore[no-any-return]

    def _fetch(self, place: int) -> Body:
        self._part.check()
        body = self._target.saved(self._hash_at(place))
        if body is not None:
            return body
        for attempt in range(1, config.MAX_ATTEMPTS):
            pointer, answer = self._pointers.take(self._order[place], self._part)
            try:
                return self._fetch_once(place, pointer)
            except _MENDABLE:
                if not self._pointers.renew(answer, self._part):
                    raise
                back_off(attempt, self._part)
        return self._fetch_once(place, self._pointers.take(self._order[place], self._part)[0])

    def _fetch_once(self, place: int, pointer: Pointer) -> Body:
        slot = place % config.SHARDS_AHEAD
        buffer = self._buffers[slot] or self._sources.buffers.take(self._most, self._part.for_window)
        self._buffers[slot] = buffer
        self._sources.fetch(pointer, self._part, buffer)
        return buffer.whole()

    def _give_back(self, place: int) -> None:
        slot = place % config.SHARDS_AHEAD
        if (buffer := self._buffers[slot]) is not None:
            self._buffers[slot] = None
            self._sources.buffers.give_back(buffer)

    def _hash_at(self, place: int) -> str:
        return self._pointers.hashes[self._order[place]]


def _nothing(_value: object) -> None:
    pass
