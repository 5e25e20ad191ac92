"""The named defaults, each with its reason."""

from __future__ import annotations

import math
from dataclasses import astuple, dataclass

__all__ = ["ENDPOINT_VARIABLE", "RETIRED_ENDPOINT", "Timeout"]

ENDPOINT_VARIABLE = "STORJ_BRIDGE"
"""The environment variable that names the bridge: the name that all Storj tools of the time use."""

RETIRED_ENDPOINT = "https://api.metadisk.org"
"""The documented endpoint of 2016. Nobody serves it any more."""

WORKERS = 16
"""How many callback calls are under way at once: enough to hide the latency of a distant bridge, few enough that a
thousand calls neither exhaust the machine's threads nor flood the bridge."""

MAX_ATTEMPTS = 3
"""How often one call is sent at most, where sending again is safe."""

MAX_NONCE_ATTEMPTS = 8
"""How often a request is signed again when its nonce came too late. More than MAX_ATTEMPTS: such a refusal costs one
round trip and means that nothing was done. Other processes that sign for the same user may be in the way."""

MAX_REDIRECTS = 5
"""How many redirects one call follows: what browsers need in practice, and a bound on loops."""

BACKOFF_SECONDS = 0.1
"""The wait before the second attempt; it doubles, and each wait is a random share of at least half of that."""

KEEP_ALIVE_SECONDS = 4.0
"""How long an idle connection is kept: shorter than any common server keeps its end (5 s and more), since a request
that meets a connection just closed by the server is lost, and only some may be sent again."""

MAX_REPLY_BYTES = 256 * 1024 * 1024
"""The largest reply that is read. A listing of a million files is about half of it; more is a hostile server."""

MAX_SHARD_BYTES = 64 * 1024 * 1024
"""The largest shard that is taken. A bridge of 2016 cut one when 8 MiB had gathered; more is a hostile farmer."""

MAX_INTERIM_REPLIES = 100
"""How many replies of the kind "100 Continue" may come before the real one. Honest servers send one or two."""

ATTEMPT_SECONDS = 0.25
"""How long one address of a host may take to answer before the next one is tried as well. The figure is RFC 8305's."""

ORDER_SECONDS = 60.0
"""How long signed requests go one at a time after the bridge refused one that was overtaken."""

TURN_SECONDS = 10.0
"""How long a signed request waits for the one before it, which may have stalled."""

POLL_SECONDS = 0.2
"""How long a transfer waits at a time before it looks whether it was cancelled: it is to stop within a second."""

SHARDS_AHEAD = 4
"""How many shards of a download are under way at once: enough to keep several farmers busy, in 32 MiB."""

CHUNK_BYTES = 256 * 1024
"""How much of a file is read and sent at a time: large enough that the cost per chunk vanishes, small beside 32 MiB."""


@dataclass(frozen=True)
class Timeout:
    """Limits in seconds: all but `total` are limits on silence. `None` waits without a limit.

    Attributes:
        connect: to reach the bridge, TLS included. Distant networks answer within a few seconds or not at all.
        read: for the next bytes of a reply. The bridges of 2016 gave up on a silent farmer after 5.5 s, and on a
            request of their own after a minute.
        write: for the bridge to take more bytes.
        pool: for a free connection of the client's pool. The pool has no bound, so nothing waits for it; the limit is
            there in case of a defect.
        transfer: for the reply to an upload, which a bridge may give only after it has stored the file. The bridges of
            2016 closed a connection that they could not answer after 120 s.
        channel: for the next bytes of a shard, from a farmer or a store. v0.6.6 farmers never answer a bad token.
        total: for a whole call, transfers included, from when it begins to when its value is there. By default there is
            none: only the caller knows how long an upload may take.
    """

    connect: float | None = 10.0
    read: float | None = 60.0
    write: float | None = 60.0
    pool: float | None = 10.0
    transfer: float | None = 150.0
    channel: float | None = 15.0
    total: float | None = None

    def __post_init__(self) -> None:
        for limit in astuple(self):
            if limit is not None and (not isinstance(limit, int | float) or isinstance(limit, bool)):
                raise TypeError(f"a timeout is a number of seconds, a Timeout, or None, not {type(limit).__name__}")
            if limit is not None and not 0 < limit < math.inf:
                raise ValueError(f"a timeout is a positive number of seconds, or None for no limit, not {limit!r}")

    @classmethod
    def of(cls, timeout: float | Timeout | None) -> Timeout:
        """Return `timeout` as a `Timeout`: one number, or `None`, stands for every limit on silence."""
        if isinstance(timeout, Timeout):
            return timeout
        return cls(timeout, timeout, timeout, timeout, timeout, timeout)
