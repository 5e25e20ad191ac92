"""The defaults of the client, each with its reason."""

from __future__ import annotations

import math
from dataclasses import astuple, dataclass

__all__ = ["ENDPOINT_VARIABLE", "RETIRED_ENDPOINT", "Timeout"]

ENDPOINT_VARIABLE = "STORJ_BRIDGE"
"""The environment variable that names the bridge. The Storj tools of 2016 use the same name."""

RETIRED_ENDPOINT = "https://api.metadisk.org"
"""The documented endpoint of 2016. It no longer exists."""

WORKERS = 16
"""How many callback calls run at once: enough to hide the latency of a distant bridge, and few enough that a thousand
calls neither use up the machine's threads nor flood the bridge."""

MAX_ATTEMPTS = 3
"""How often a call is sent at most until a reply comes. It is sent again only if that is safe."""

MAX_NONCE_ATTEMPTS = 8
"""How often a call is signed at most while the bridge refuses its nonces as too low. More than MAX_ATTEMPTS: such a
refusal costs one round trip and means that nothing was done. It happens again while other processes sign for the same
user."""

MAX_REDIRECTS = 5
"""How many redirects one call follows: enough in practice, and an end to loops."""

BACKOFF_SECONDS = 0.1
"""The wait before the second attempt. It doubles for each further one. The real wait is random: half of it to all."""

KEEP_ALIVE_SECONDS = 4.0
"""How long an idle connection is kept: shorter than common servers keep it (5 s and more). A request on a connection
that the server has just closed is lost, and only some requests may be sent again."""

MAX_REPLY_BYTES = 256 * 1024 * 1024
"""The largest reply that is read. A list of a million files is about half of it; a larger one is from a hostile
server."""

MAX_SHARD_BYTES = 64 * 1024 * 1024
"""The largest shard that is accepted. The bridges of 2016 cut files into shards of about 8 MiB; a much larger one is
from a hostile farmer."""

MAX_INTERIM_REPLIES = 100
"""How many interim replies such as "100 Continue" may come before the real one. Honest servers send one or two."""

ATTEMPT_SECONDS = 0.25
"""How long to wait for one address of a host before the next one is tried as well. RFC 8305 recommends this figure."""

ORDER_SECONDS = 60.0
"""How long signed requests are sent one at a time, after the bridge refused a nonce because requests had overtaken
each other."""

TURN_SECONDS = 10.0
"""How long a signed request then waits for the one before it, which may be stuck. If `Timeout.read` is shorter, it ends
the wait."""

POLL_SECONDS = 0.2
"""How often a waiting transfer checks whether it was cancelled. It must stop within a second."""

SHARDS_AHEAD = 4
"""How many shards of a download are fetched at once: enough to keep several farmers busy, with 32 MiB of memory."""

SHARDS_AHEAD_OF_WINDOW = 2
"""The same for all downloads of a window together, on a machine with few cores: more threads would keep the window's
thread from its turn."""

CHUNK_BYTES = 256 * 1024
"""How much of a file is read and sent at a time: so large that the cost per chunk does not matter, and far below
32 MiB."""


@dataclass(frozen=True)
class Timeout:
    """Limits in seconds. All but `total` limit how long nothing happens. `None` means no limit.

    Attributes:
        connect: until the connection to the bridge is made, with TLS. Distant servers answer within a few seconds or
            not at all.
        read: until the next bytes of a reply. The bridges of 2016 gave up on a silent farmer after 5.5 s, and on a
            request of their own after a minute.
        write: until the bridge takes more bytes.
        pool: until a connection of the client's pool is free. The pool is unlimited, so nothing waits for it; the limit
            is there in case of a defect.
        transfer: until the reply to an upload. The bridge replies after it has stored the file. The bridges of 2016
            closed a connection after 120 s without a reply.
        channel: until the next bytes of a shard, from a farmer or a store. Farmers of v0.6.6 never answer a bad token.
        total: for a whole call or transfer, from its start to its value. Default: no limit, since only the caller knows
            how long an upload may take.
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
        """Return `timeout` as a `Timeout`. One number, or `None`, sets every limit but `total`."""
        if isinstance(timeout, Timeout):
            return timeout
        return cls(timeout, timeout, timeout, timeout, timeout, timeout)
