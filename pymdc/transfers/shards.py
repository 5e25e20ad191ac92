"""Shards: their bytes, their pointers, and the memory for them."""

from __future__ import annotations

import hashlib
import mmap
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from ..core.hashes import content_hash
from ..errors import ChannelError, IntegrityError
from .hashing import add_to

__all__ = ["Body", "BufferPool", "Pointer", "ShardBuffer", "text_in"]

Body = bytes | memoryview
"""The bytes of a shard."""

Pointer = Mapping[str, Any]
"""Where a shard is: `{"hash", "token", "operation": "PULL", "channel": "ws://host:port"}`, and perhaps `"url"`."""

_USUAL_BYTES = 8 * 1024 * 1024 + 64 * 1024  # a shard is cut when 8 MiB have gathered, in pieces of up to 64 KiB
_HASHED_BYTES = 512 * 1024  # hashed at a time: they are still in the processor's cache, and a thread changes seldom
_FEW_BYTES = 64 * 1024  # many shards are one message


class ShardBuffer:
    """The bytes of a shard that have come so far. It is used for one shard after another: new memory is slow.

    The bytes are hashed as they come, while they are in the processor's cache.

    Arguments:
        most: the largest shard that is taken, in bytes.
        for_window: whether a window waits for the shard: see `hashing`.

    Attributes:
        size: how much has come, in bytes.
    """

    def __init__(self, most: int, for_window: bool = False) -> None:
        self.most = most
        self.for_window = for_window
        self.size = 0
        self._memory: bytearray | mmap.mmap = bytearray()
        self._digest = hashlib.sha256()
        self._hashed = 0  # how many of the bytes that have come

    def add(self, piece: Body) -> None:
        """Append a piece.

        Raises:
            ChannelError: that is more than any shard of this file can be.
        """
        self.room(len(piece))[: len(piece)] = piece
        self.received(len(piece))

    def room(self, size: int) -> memoryview:
        """Return memory for the next bytes, at least `size` of them; `received` says how many there are.

        Raises:
            ChannelError: that is more than any shard of this file can be.
        """
        end = self.size + size
        if end > self.most:
            raise ChannelError(f"more than {self.most} bytes came for one shard")
        if end > len(self._memory):
            self._grow(end)
        return memoryview(self._memory)[self.size :]

    def received(self, size: int) -> None:
        """Note that so many bytes have come into the memory that `room` gave."""
        self.size += size
        if self.size - self._hashed >= _HASHED_BYTES:
            self._hash()

    def clear(self) -> None:
        """Forget the shard; the memory stays for the next one."""
        self.size = self._hashed = 0
        self._digest = hashlib.sha256()

    def whole(self) -> memoryview:
        """Return all bytes that have come. The view is good until more come."""
        return memoryview(self._memory)[: self.size]

    def check(self, shard: str) -> None:
        """Compare what has come with a shard's hash.

        Raises:
            IntegrityError: it is something else.
        """
        self._hash()
        if content_hash(self._digest.hexdigest()) != shard:
            raise IntegrityError(f"the shard {shard} came with other content")

    def _hash(self) -> None:
        add_to(self._digest, memoryview(self._memory)[self._hashed : self.size], self.for_window)
        self._hashed = self.size

    def _grow(self, end: int) -> None:
        # The memory of whole shards is not malloc()'s, which would keep some of it.
        small = end <= _FEW_BYTES
        grown = bytearray(_FEW_BYTES) if small else mmap.mmap(-1, max(end, 2 * self.size, _USUAL_BYTES))
        grown[: self.size] = memoryview(self._memory)[: self.size]
        self._memory = grown


class BufferPool:
    """The buffers of all downloads of a client, used again: new memory costs as much as reading a shard into it.

    They are freed when the last download ends.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()  # guards the two below
        self._downloads = 0
        self._free: list[ShardBuffer] = []

    @contextmanager
    def in_use(self) -> Iterator[None]:
        """Keep what is given back while the context is open: a download is under way."""
        with self._lock:
            self._downloads += 1
        try:
            yield
        finally:
            with self._lock:
                self._downloads -= 1
                if not self._downloads:
                    self._free.clear()

    def take(self, most: int, for_window: bool = False) -> ShardBuffer:
        """Return an empty buffer; the arguments are those of `ShardBuffer`."""
        with self._lock:
            buffer = self._free.pop() if self._free else ShardBuffer(most)
        buffer.most, buffer.for_window = most, for_window
        return buffer

    def give_back(self, buffer: ShardBuffer) -> None:
        """Take a buffer back. Nobody may use what it held any more."""
        buffer.clear()
        with self._lock:
            self._free.append(buffer)


def text_in(pointer: Pointer, name: str) -> str:
    """Return what a pointer says under a name.

    Raises:
        ChannelError: it says nothing there.
    """
    value = pointer.get(name) if isinstance(pointer, Mapping) else None
    if not isinstance(value, str):
        raise ChannelError(f"the bridge gave a pointer without {name}")
    return value
