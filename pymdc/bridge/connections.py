"""Counting connections from the moment when they are accepted, so that no address takes them all."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import ssl
from collections import Counter
from collections.abc import Callable
from functools import partial
from typing import Protocol

import anyio

from .addresses import Addresses, neighbourhood
from .settings import HANDSHAKE_SECONDS, Settings

__all__ = ["Closable", "Connections", "listen", "serve_connections", "share"]

_log = logging.getLogger("pymdc.bridge")
_BACKLOG = 2048  # connections that wait to be accepted: uvicorn's own choice
_NOT_SENT_BYTES = 256 * 1024  # what the system takes from the bridge before a client has taken it
_PAUSE_SECONDS = 0.1  # before accepting is tried again: there is no room for another file now
_PART = 4  # an address may hold a quarter of what there is
_LEAST = 8  # but not less than so many: a browser alone opens six


def share(total: int) -> int:
    """Return how many of `total` things at once one address may have."""
    return max(total // _PART, min(total, _LEAST))


class Closable(Protocol):
    """A connection that can be closed to make room for another one."""

    @property
    def idle(self) -> bool:
        """Whether no request is under way on it."""

    def abort(self) -> None:
        """Close it at once."""


class Connections:
    """The open connections of one process, by address. Used in the thread of the event loop alone.

    Each is counted when it is accepted, so before it has said anything and before a TLS handshake. An address beyond
    its share loses its own idle connections, oldest first; where it has none, its new one is closed. When all
    connections are taken, all idle ones are closed. A trusted proxy stands for many: it has no share.
    """

    def __init__(self, settings: Settings) -> None:
        self._most, self._share = settings.max_connections, share(settings.max_connections)
        self._proxies = Addresses(settings.trusted_proxies)
        self._open: Counter[str] = Counter()
        self._closable: dict[str, dict[Closable, None]] = {}
        self._told: set[str] = set()

    def admit(self, address: str) -> bool:
        """Count a new connection from `address`. Tell whether there was room for it: if not, it is not counted."""
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

    def gone(self, address: str) -> None:
        """Take note that a connection was closed."""
        group = neighbourhood(address)
        self._open[group] -= 1
        if not self._open[group]:
            del self._open[group]
            self._told.discard(group)

    def can_close(self, address: str, connection: Closable) -> None:
        """Take note of a connection that may be closed while it is idle."""
        self._closable.setdefault(neighbourhood(address), {})[connection] = None

    def cannot_close(self, address: str, connection: Closable) -> None:
        """Take note that a connection is closed, or serves a channel now. Saying so twice does nothing."""
        group = neighbourhood(address)
        mine = self._closable.get(group, {})
        mine.pop(connection, None)
        if not mine:
            self._closable.pop(group, None)


def listen(host: str, port: int) -> socket.socket:
    """Return a socket that listens, for `serve_connections`.

    Raises:
        OSError: the address cannot be listened on.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # The protocol is named, so that asyncio sees TCP and lets replies go out undelayed.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        reuse = int(os.name == "posix")  # a port that was just left; elsewhere two bridges could share one
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, reuse)
        if hasattr(socket, "TCP_NOTSENT_LOWAT"):  # pragma: no branch - Windows has none
            # Accepted connections inherit it. With megabytes in the system a slow reader looks like one that is gone.
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
    protocol: Callable[[], asyncio.Protocol],
    tls: ssl.SSLContext | None,
) -> None:
    """Accept connections and serve each with a protocol of its own, until cancelled."""
    listener.setblocking(False)
    async with anyio.create_task_group() as tasks:
        while True:
            accepted = await _accept(listener)
            if accepted is not None:
                connection, address = accepted
                if connections.admit(address):
                    counted = _Counted(connection, partial(connections.gone, address))
                    tasks.start_soon(_serve, counted, protocol, tls)
                else:
                    connection.close()
            await asyncio.sleep(0)  # what is served has its turn, however fast others come


async def _accept(listener: socket.socket) -> tuple[socket.socket, str] | None:
    try:
        connection, address = await asyncio.get_running_loop().sock_accept(listener)
    except OSError as error:  # it was reset before it was accepted, or there are no more files
        _log.warning("a connection could not be accepted: %s", error)
        await asyncio.sleep(_PAUSE_SECONDS)
        return None
    return connection, str(address[0])


async def _serve(
    connection: socket.socket, protocol: Callable[[], asyncio.Protocol], tls: ssl.SSLContext | None
) -> None:
    loop = asyncio.get_running_loop()
    patience = None if tls is None else HANDSHAKE_SECONDS
    try:
        await loop.connect_accepted_socket(protocol, connection, ssl=tls, ssl_handshake_timeout=patience)
    except OSError as error:  # ssl.SSLError is one
        _log.debug("a connection ended before it began: %r", error)
        connection.close()


class _Counted(socket.socket):
    """An accepted connection, which says when it is closed, or when a loop takes its file from it, and closes that."""

    def __init__(self, connection: socket.socket, when_closed: Callable[[], None]) -> None:
        super().__init__(connection.family, connection.type, connection.proto, connection.detach())
        self.setblocking(False)
        self._when_closed: Callable[[], None] | None = when_closed

    def close(self) -> None:
        super().close()
        self._tell()

    def detach(self) -> int:  # pragma: no cover - uvloop takes the file, asyncio's own loop does not
        number = super().detach()
        self._tell()
        return number

    def _tell(self) -> None:
        told, self._when_closed = self._when_closed, None
        if told is not None:
            told()
