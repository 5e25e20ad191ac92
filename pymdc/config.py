"""The named defaults, each with its reason, and what is read from the environment."""

from __future__ import annotations

import logging
import math
import os
import re
import urllib.request
from dataclasses import astuple, dataclass, fields
from urllib.parse import SplitResult, urlsplit

__all__ = ["ENDPOINT_VARIABLE", "RETIRED_ENDPOINT", "Timeout"]

logger = logging.getLogger("pymdc")

# The path is part of what is signed, so nothing on the way may have a reason to encode or to shorten it.
_SENT_AS_IT_IS = re.compile(r"(/(?!\.{1,2}(/|$))[\w%:!$&'()*+,;=~.-]*)*", re.ASCII)

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

POLL_SECONDS = 0.2
"""How long a transfer waits at a time before it looks whether it was cancelled: it is to stop within a second."""

SHARDS_AHEAD = 4
"""How many shards of a download are under way at once: enough to keep several farmers busy, in 32 MiB."""

CHUNK_BYTES = 256 * 1024
"""How much of a file is read and sent at a time: large enough that the cost per chunk vanishes, small beside 32 MiB."""


@dataclass(frozen=True)
class Timeout:
    """Limits on silence, in seconds; none of them limits a whole call. `None` waits without a limit.

    Attributes:
        connect: to reach the bridge, TLS included. Distant networks answer within a few seconds or not at all.
        read: for the next bytes of a reply. The bridges of 2016 gave up on a silent farmer after 5.5 s, and on a
            request of their own after a minute.
        write: for the bridge to take more bytes.
        pool: for a free connection of the client's pool. It has no bound, so that nothing ever waits; the limit only
            guards against a defect.
        transfer: for the reply to an upload, which a bridge may give only after it has stored the file. The bridges of
            2016 closed a connection that they could not answer after 120 s.
        channel: for a farmer's next message on a data channel. The farmers of v0.6.6 never answer a bad token.
    """

    connect: float | None = 10.0
    read: float | None = 60.0
    write: float | None = 60.0
    pool: float | None = 10.0
    transfer: float | None = 150.0
    channel: float | None = 15.0

    def __post_init__(self) -> None:
        for limit in astuple(self):
            if limit is not None and not 0 < limit < math.inf:
                raise ValueError(f"a timeout is a positive number of seconds, or None for no limit, not {limit!r}")

    @classmethod
    def of(cls, timeout: float | Timeout | None) -> Timeout:
        """Return `timeout` as a `Timeout`: one number, or `None`, stands for every limit."""
        if isinstance(timeout, Timeout):
            return timeout
        return cls(*[timeout] * len(fields(cls)))


def choose_endpoint(endpoint: str | None) -> str:
    """Return the endpoint to use: the argument, else the environment, else the retired one of 2016."""
    if endpoint is not None:
        return endpoint
    return os.environ.get(ENDPOINT_VARIABLE) or RETIRED_ENDPOINT


_warned: list[str] = []  # the retired endpoint, once this process was warned of it


def warn_if_retired(endpoint: str) -> None:
    """Warn, once in a process, that nobody serves this endpoint any more; of any other one, say nothing."""
    if endpoint != RETIRED_ENDPOINT or _warned:
        return
    _warned.append(endpoint)
    logger.warning(
        "The public Metadisk service at %s was retired. Name another bridge: set the environment variable %s, or call "
        'pymdc.configure(endpoint="http://127.0.0.1:6382"). `pymdc bridge` runs one on this machine.',
        RETIRED_ENDPOINT,
        ENDPOINT_VARIABLE,
    )


def parse_endpoint(endpoint: str) -> SplitResult:
    """Split an endpoint into its parts, its path without a slash at the end.

    Raises:
        ValueError: it is no `http` or `https` URL, or carries credentials, a query or a fragment. The message does not
            repeat an endpoint that carries credentials.
    """
    if "@" in endpoint:  # before it is split: a password with a "/" in it would end up in the port, or in the path
        raise ValueError("malformed endpoint: it must not carry a user name or a password")
    try:
        parts = urlsplit(endpoint.strip())
        port = parts.port
    except ValueError as error:
        raise ValueError(f"malformed endpoint: {error}") from error
    if parts.scheme not in ("http", "https") or not parts.hostname or port == 0:
        raise ValueError(f"malformed endpoint {endpoint!r}: expected something like http://127.0.0.1:6382")
    if parts.query or parts.fragment:
        raise ValueError(f"malformed endpoint {endpoint!r}: it must not have a query or a fragment")
    if not _SENT_AS_IT_IS.fullmatch(parts.path):
        raise ValueError(f"malformed endpoint {endpoint!r}: its path must be percent-encoded, without '.' and '..'")
    return parts._replace(path=parts.path.rstrip("/"))


def proxy_for(address: str, scheme: str) -> str | None:
    """Return the proxy that the environment names, as a URL, by the rules of urllib, which the original went by.

    Arguments:
        address: the host that is to be reached, with its port where `NO_PROXY` may name one.
        scheme: `http` or `https`.
    """
    if urllib.request.proxy_bypass(address):
        return None
    proxies = urllib.request.getproxies()
    named = proxies.get(scheme) or proxies.get("all")
    return named if not named or "://" in named else f"http://{named}"
