"""Accept and count connections, so that no address takes all of them.

uvicorn could accept them itself, but it tells the application only about requests. Connections that send nothing, or
are in the middle of a TLS handshake, would then not be counted.
"""

from __future__ import annotations

import asyncio
import logging
import math
import os
import socket
import ssl
import sys
import time
from collections import Counter
from collections.abc import Callable
from functools import partial
from typing import Any, Protocol

import anyio

from .addresses import Addresses, neighbourhood
from .settings import HANDSHAKE_SECONDS, Settings

__all__ = ["Closable", "Connections", "listen", "serve_connections", "share"]

_log = logging.getLogger("pymdc.bridge")
_BACKLOG = 2048  # how many connections may wait to be accepted: the default of uvicorn
_NOT_SENT_BYTES = 256 * 1024  # how much the system buffers for a client that reads slowly
_TELL_SECONDS = 60.0  # how long the log says nothing more about failures to accept
_PAUSE_SECONDS = 0.1  # the pause after a failure to accept, such as too many open files
_PART = 4  # one address may have a quarter of all
_LEAST = 8  # but at least this many: a browser opens six


def share(total: int) -> int:
    """Return how many of `total` things at once one address may have."""
    return max(total // _PART, min(total, _LEAST))


class Closable(Protocol):
    """A connection that can be closed to make room for another one."""

    @property
    def idle(self) -> bool:
        """Whether no request is running on it."""

    def abort(self) -> None:
        """Close it at once."""


class Connections:
    """The open connections of one process, by address. Used only in the thread of the event loop.

    A connection is counted when it is accepted, before any TLS handshake. When an address has reached its share, its
    oldest idle connection is closed for a new one; if none is idle, the new one is closed. When all connections are
    taken, all idle ones are closed. A trusted proxy stands for many clients, so it may have any number.
    """

    def __init__(self, settings: Settings) -> None:
        self._most, self._share = settings.max_connections, share(settings.max_connections)
        self._proxies = Addresses(settings.trusted_proxies)
        self._open: Counter[str] = Counter()
        self._closable: dict[str, dict[Closable, None]] = {}
        self._told: set[str] = set()
        self._quiet_until = 0.0

    def admit(self, address: str) -> bool:
        """Count a new connection from `address`, if there is room for it. Tell whether there was."""
        group = neighbourhood(address)
        if not self._has_room(group, address):
            if group not in self._told:
                self._told.add(group)
                _log.warning("a connection from %s was closed: too many are open, and all are in use", address)
            return False
        self._open[group] += 1
        return True

    def _has_room(self, group: str, address: str) -> bool:
        if self._open[group] >= self._share and not self._proxies.trusts(address):
            return self._close_idle(self._closable.get(group, {}), 1)
        if self._open.total() < self._most:
            return True
        every = [one for group in self._closable.values() for one in group]
        return self._close_idle(dict.fromkeys(every), len(every))

    def _close_idle(self, candidates: dict[Closable, None], most: int) -> bool:
        idle = [one for one in candidates if one.idle][:most]
        for one in idle:
            one.abort()
        return bool(idle)

    def not_accepted(self, error: OSError) -> None:
        """Note that a connection could not be accepted. The log says so at most once in `_TELL_SECONDS`."""
        if time.monotonic() >= self._quiet_until:
            self._quiet_until = time.monotonic() + _TELL_SECONDS
            _log.warning("a connection could not be accepted: %s", error)

    def gone(self, address: str) -> None:
        """Note that a connection was closed."""
        group = neighbourhood(address)
        self._open[group] -= 1
        if not self._open[group]:
            del self._open[group]
            self._told.discard(group)

    def can_close(self, address: str, connection: Closable) -> None:
        """Note that a connection may be closed while it is idle."""
        self._closable.setdefault(neighbourhood(address), {})[connection] = None

    def cannot_close(self, address: str, connection: Closable) -> None:
        """Note that a connection is closed, or is a data channel now. Doing it twice changes nothing."""
        group = neighbourhood(address)
        mine = self._closable.get(group, {})
        mine.pop(connection, None)
        if not mine:
            self._closable.pop(group, None)


def listen(host: str, port: int) -> socket.socket:
    """Return a listening socket, for `serve_connections`.

    Raises:
        OSError: the address cannot be used.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # With IPPROTO_TCP asyncio knows that this is TCP, and switches off the delay of small packets.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        reuse = int(os.name == "posix")  # take a port that was just left; on Windows, two bridges could share it
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, reuse)
        if hasattr(socket, "TCP_NOTSENT_LOWAT"):  # pragma: no branch - Windows has none
            # Accepted connections inherit this. With megabytes buffered, a slow client looks like one that is gone.
            listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, _NOT_SENT_BYTES)
        listener.bind((host, port))
        listener.listen(_BACKLOG)
    except BaseException:
        listener.close()
        raise
    return listener


async def serve_connections(
    listener: socket.socket,
    connections: Connections,
    protocol: Callable[[], asyncio.BaseProtocol],
    tls: ssl.SSLContext | None,
) -> None:
    """Accept connections and serve each with its own protocol object, until cancelled."""
    listener.setblocking(False)
    async with anyio.create_task_group() as tasks:
        while True:
            accepted = await _accept(listener, connections.not_accepted)
            if accepted is not None:
                connection, address = accepted
                if connections.admit(address):
                    counted = _Counted(connection, partial(connections.gone, address))
                    tasks.start_soon(_serve, counted, protocol, tls)
                else:
                    connection.close()
            await asyncio.sleep(0)  # let the open connections run, however fast new ones arrive


async def _accept(listener: socket.socket, failed: Callable[[OSError], None]) -> tuple[socket.socket, str] | None:
    try:
        connection, address = await asyncio.get_running_loop().sock_accept(listener)
    except OSError as error:  # it was reset before it was accepted, or there are too many open files
        failed(error)
        await asyncio.sleep(_PAUSE_SECONDS)
        return None
    return connection, str(address[0])


async def _serve(
    connection: socket.socket, protocol: Callable[[], asyncio.BaseProtocol], tls: ssl.SSLContext | None
) -> None:
    loop = asyncio.get_running_loop()
    patience: dict[str, Any] = {} if tls is None else {"ssl_handshake_timeout": HANDSHAKE_SECONDS}
    if tls is not None and sys.version_info >= (3, 11):
        # asyncio would cut off a client that needs more than 30 seconds for the end of a reply. `Reader` knows better.
        patience["ssl_shutdown_timeout"] = math.inf
    try:
        await loop.connect_accepted_socket(protocol, connection, ssl=tls, **patience)
    except OSError as error:  # ssl.SSLError is one
        _log.debug("a connection failed before its first request: %r", error)
        connection.close()


class _Counted(socket.socket):
    """An accepted connection that calls `when_closed` once, when it is closed."""

    def __init__(self, connection: socket.socket, when_closed: Callable[[], None]) -> None:
        super().__init__(connection.family, connection.type, connection.proto, connection.detach())
        self.setblocking(False)
        self._when_closed: Callable[[], None] | None = when_closed

    def close(self) -> None:
        super().close()
        self._tell()

    def _tell(self) -> None:
        told, self._when_closed = self._when_closed, None
        if told is not None:
            told()
