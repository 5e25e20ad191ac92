"""What a shard is, and the memory that it is gathered in."""

from __future__ import annotations

import mmap
from collections.abc import Mapping
from typing import Any

from ..errors import ChannelError

__all__ = ["Body", "Pointer", "ShardBuffer"]

Body = bytes | memoryview
"""The bytes of a shard."""

Pointer = Mapping[str, Any]
"""Where a shard is: `{"hash", "token", "operation": "PULL", "channel": "ws://host:port"}`."""

_USUAL_BYTES = 8 * 1024 * 1024 + 64 * 1024  # a shard is cut when 8 MiB have gathered, in pieces of up to 64 KiB


class ShardBuffer:
    """What has come of a shard. It serves one shard after another: fresh memory is slow, and adds up.

    Arguments:
        most: the largest shard that is taken, in bytes.

    Attributes:
        size: how much has come, in bytes.
    """

    def __init__(self, most: int) -> None:
        self.most = most
        self.size = 0
        self._memory: bytearray | mmap.mmap = bytearray()

    def add(self, piece: bytes) -> None:
        """Append a piece.

        Raises:
            ChannelError: that is more than any shard of this file can be.
        """
        end = self.size + len(piece)
        if end > self.most:
            raise ChannelError(f"more than {self.most} bytes came for one shard")
        if end > len(self._memory):
            # The memory of whole shards is not malloc()'s, which would keep some of it. Many a shard is one message.
            grown = mmap.mmap(-1, max(end, 2 * self.size, _USUAL_BYTES)) if self.size else bytearray(end)
            grown[: self.size] = self._memory[: self.size]
            self._memory = grown
        self._memory[self.size : end] = piece
        self.size = end

    def clear(self) -> None:
        """Forget the shard; the memory stays for the next one."""
        self.size = 0

    def whole(self) -> memoryview:
        """Return all that has come; it is good until more does."""
        return memoryview(self._memory)[: self.size]
