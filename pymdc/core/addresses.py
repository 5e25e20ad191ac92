"""Connect to a host: find its addresses, and take the first one that answers (RFC 8305, "happy eyeballs")."""

from __future__ import annotations

import errno
import os
import selectors
import socket
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import closing
from typing import Any

from .. import config
from .job import Job

__all__ = ["connect"]

_Address = tuple[Any, Any, int, str, Any]  # as socket.getaddrinfo gives it

_UNDER_WAY = (0, errno.EINPROGRESS, errno.EWOULDBLOCK, errno.EALREADY, getattr(errno, "WSAEWOULDBLOCK", None))


def connect(host: str, port: int, end: float | None, job: Job) -> socket.socket:
    """Connect to the first address of the host that answers.

    Arguments:
        end: when to give up, by `time.monotonic()`; `None` for never.
        job: if it is cancelled, the attempt ends.

    Raises:
        OSError: there is no connection; `TimeoutError`: not in time. The error's `filename` is `host:port`.
        UnicodeError: the host's name is not a valid name.
        CancelledError: the job was cancelled.
    """
    try:
        with closing(_Race(_alternating(_look_up(host, port, end, job)))) as race:
            sock = race.winner(end, job)
    except OSError as error:
        error.filename = f"{host}:{port}"
        raise
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return sock


def _look_up(host: str, port: int, end: float | None, job: Job) -> list[_Address]:
    """Look up the host's addresses. The system's function cannot be interrupted, so it runs in a thread."""
    try:
        return socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)
    except socket.gaierror:  # so it is a name, not a numeric address
        pass
    found: list[list[_Address] | BaseException] = []
    ready = threading.Event()

    def ask() -> None:
        try:
            found.append(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))
        except BaseException as error:  # noqa: BLE001 - raised below, in the thread that asked
            found.append(error)
        ready.set()

    _in_background(ask)
    while not ready.wait(config.POLL_SECONDS if end is None else min(config.POLL_SECONDS, end - time.monotonic())):
        job.check()
        if end is not None and time.monotonic() >= end:
            raise TimeoutError(errno.ETIMEDOUT, "timed out")
    if isinstance(found[0], BaseException):
        raise found[0]
    return found[0]


def _in_background(function: Callable[[], None]) -> None:
    try:
        threading.Thread(target=function, name="pymdc-addresses", daemon=True).start()
    except RuntimeError:  # the interpreter is shutting down, or the system has no thread left: this thread waits
        function()


def _alternating(addresses: list[_Address]) -> list[_Address]:
    """Order the addresses so that the families alternate, beginning with the one that the system prefers."""
    families: dict[int, deque[_Address]] = {}
    for address in addresses:
        families.setdefault(address[0], deque()).append(address)
    ordered: list[_Address] = []
    while len(ordered) < len(addresses):
        ordered += [family.popleft() for family in families.values() if family]
    return ordered


class _Race:
    """Attempts to connect, side by side: each begins `ATTEMPT_SECONDS` after the one before, or when that one fails."""

    def __init__(self, addresses: list[_Address]) -> None:
        self._waiting = deque(addresses)
        self._under_way = selectors.DefaultSelector()
        self._failure: OSError = OSError(errno.EADDRNOTAVAIL, "the host has no address")
        self._next = 0.0  # when the next attempt begins

    def winner(self, end: float | None, job: Job) -> socket.socket:
        """Wait for the first connection, and return it; if every attempt fails, raise what the last one met."""
        while self._waiting or self._under_way.get_map():
            job.check()
            now = time.monotonic()
            if end is not None and now >= end:
                raise TimeoutError(errno.ETIMEDOUT, "timed out")
            if self._waiting and now >= self._next:
                self._begin(self._waiting.popleft())
                continue
            limits = [config.POLL_SECONDS, self._next - now if self._waiting else config.POLL_SECONDS]
            rest = min(limits if end is None else [*limits, end - now])
            for key, _ in self._under_way.select(max(rest, 0)):
                sock: socket.socket = key.fileobj  # type: ignore[assignment]
                if self._has_won(sock):
                    return sock
        raise self._failure

    def close(self) -> None:
        """Give up the attempts that have not won."""
        for key in list(self._under_way.get_map().values()):
            key.fileobj.close()  # type: ignore[union-attr]
        self._under_way.close()

    def _begin(self, address: _Address) -> None:
        family, kind, protocol, _, where = address
        try:
            sock = socket.socket(family, kind, protocol)
        except OSError as error:  # the system lacks the family, such as IPv6
            self._failure = error
            return
        sock.setblocking(False)
        code = sock.connect_ex(where)
        if code in _UNDER_WAY:
            self._under_way.register(sock, selectors.EVENT_WRITE)
            self._next = time.monotonic() + config.ATTEMPT_SECONDS
        else:
            self._lose(sock, code)

    def _has_won(self, sock: socket.socket) -> bool:
        self._under_way.unregister(sock)
        code = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if code:
            self._lose(sock, code)
        return code == 0

    def _lose(self, sock: socket.socket, code: int) -> None:
        sock.close()
        self._failure = OSError(code, os.strerror(code))
        self._next = 0.0
