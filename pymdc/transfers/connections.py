"""The connections to the hosts of shards: farmers, bridges and stores."""

from __future__ import annotations

import ssl
from functools import cached_property

from .. import config
from ..core.job import Job
from ..core.network import Stream
from ..core.transport import tls_context

__all__ = ["Connections"]


class Connections:
    """Opens connections, with the settings of one client.

    Arguments:
        timeout: limits on silence; `connect` and `channel` serve here.
        verify: as for `Client`.
    """

    def __init__(self, timeout: config.Timeout, verify: ssl.SSLContext | bool) -> None:
        self._timeout = timeout
        self._verify = verify

    @cached_property
    def _tls(self) -> ssl.SSLContext:
        return tls_context(self._verify)

    def _connect(self, host: str, port: int, secure: bool, end: float | None, job: Job) -> Stream:
        """Connect, with TLS or without, before `end`."""
        return Stream.open(host, port, self._tls if secure else None, end, job)
