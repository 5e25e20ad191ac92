"""Where shards come from: from a URL, if the bridge gives one, else over a data channel."""

from __future__ import annotations

import os
import ssl
from http.client import HTTPException

from .. import config
from ..core.dispatch import Dispatcher
from ..core.job import Job
from ..errors import ChannelError, IntegrityError
from .channels import DataChannels
from .direct import DirectDownloads
from .shards import BufferPool, Pointer, ShardBuffer, text_in

__all__ = ["ShardSources"]


class ShardSources:
    """The sources of one client.

    Arguments:
        timeout: limits on silence; `connect` and `channel` are used here.
        verify: as for `Client`.

    Attributes:
        buffers: where the shards of all downloads are gathered.
    """

    def __init__(self, timeout: config.Timeout, verify: ssl.SSLContext | bool) -> None:
        self._channels = DataChannels(timeout, verify)
        self._direct = DirectDownloads(timeout, verify)
        # One for all downloads together: many busy threads would slow down the thread of a window.
        self._dispatcher = Dispatcher(config.SHARDS_AHEAD)
        few = max(config.SHARDS_AHEAD_OF_WINDOW, os.cpu_count() or 1)
        self._of_windows = Dispatcher(min(config.SHARDS_AHEAD, few))
        self.buffers = BufferPool()

    def dispatcher(self, job: Job) -> Dispatcher:
        """Return whose threads fetch the shards of a download. A shard that is waited for begins at once."""
        return self._of_windows if job.for_window else self._dispatcher

    def fetch(self, pointer: Pointer, job: Job, buffer: ShardBuffer) -> None:
        """Fetch a shard and verify it: from its URL, or over the channel if that fails for any reason.

        Raises:
            URLError, OSError, HTTPException: the channel failed, with the meaning that these have in `pymdc.errors`.
            TimeoutError: the farmer fell silent.
            ChannelError: the farmer refused, or what it sent is no shard.
            IntegrityError: the bytes are not those of the pointer's hash.
        """
        shard, url = text_in(pointer, "hash"), pointer.get("url")
        if isinstance(url, str):
            try:
                self._direct.fetch(url, job, buffer)
                return buffer.check(shard)
            except (OSError, HTTPException, ChannelError, IntegrityError):
                job.check()
        self._channels.fetch(pointer, job, buffer)
        return buffer.check(shard)
