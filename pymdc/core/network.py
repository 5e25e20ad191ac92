"""A connection whose every wait ends: with what it waits for, at the end of patience, or when nobody wants it any more.

Over TCP or TLS, and through the proxy that the environment names.
"""

from __future__ import annotations

import base64
import errno
import os
import selectors
import socket
import ssl
import time
from collections.abc import Callable
from contextlib import ExitStack
from http.client import BadStatusLine
from typing import TypeVar
from urllib.parse import SplitResult, unquote, urlsplit

from .. import config
from .job import Job

__all__ = ["Stream", "connected", "patiently", "secured"]

_T = TypeVar("_T")

_UNDER_WAY = (errno.EINPROGRESS, errno.EWOULDBLOCK, errno.EALREADY, getattr(errno, "WSAEWOULDBLOCK", None))
_MAX_HEAD_BYTES = 64 * 1024  # a proxy's reply to CONNECT: some send a page along


class Stream:
    """An open connection.

    Arguments:
        sock: the connection; closed with the stream.
        job: when it is cancelled, whatever waits ends with a `CancelledError`.
    """

    def __init__(self, sock: socket.socket, job: Job) -> None:
        self._sock = sock
        self._job = job
        sock.settimeout(config.POLL_SECONDS)

    @classmethod
    def open(cls, host: str, port: int, tls: ssl.SSLContext | None, end: float | None, job: Job) -> Stream:
        """Connect, by way of a proxy where the environment names one.

        Arguments:
            tls: how to verify the other side; `None` for plain TCP.
            end: when patience ends, by `time.monotonic()`.

        Raises:
            OSError: there is no connection; `TimeoutError`: not in time.
            http.client.BadStatusLine: the proxy does not speak HTTP.
            CancelledError: the job was cancelled.
        """
        proxy = _proxy_for(f"{host}:{port}", "https" if tls else "http")
        if proxy is None:
            stream = cls(connected(host, port, end, job), job)
        else:
            stream = cls(connected(proxy.hostname or "", proxy.port or 80, end, job), job)
        with ExitStack() as stack:
            stack.callback(stream.close)
            if proxy is not None:
                stream._tunnel(proxy, host, port, end)
            if tls is not None:
                stream._sock = secured(stream._sock, tls, host, end, job)
            stack.pop_all()
        return stream

    def receive(self, end: float | None) -> bytes:
        """Return what has come, or `b""` where the other side has closed.

        Raises:
            OSError, CancelledError: as for `open`.
        """
        return patiently(lambda: self._sock.recv(config.CHUNK_BYTES), end, self._job)

    def send(self, data: bytes, end: float | None) -> None:
        """Send all of `data`.

        Raises:
            OSError, CancelledError: as for `open`.
        """
        while data:
            data = data[patiently(lambda data=data: self._sock.send(data), end, self._job) :]  # type: ignore[misc]

    def close(self) -> None:
        self._sock.close()

    def _tunnel(self, proxy: SplitResult, host: str, port: int, end: float | None) -> None:
        authority = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        lines = [f"CONNECT {authority} HTTP/1.1", f"Host: {authority}"]
        if proxy.username is not None:
            login = f"{unquote(proxy.username)}:{unquote(proxy.password or '')}".encode()
            lines.append("Proxy-Authorization: Basic " + base64.b64encode(login).decode("ascii"))
        self.send("\r\n".join([*lines, "", ""]).encode("ascii"), end)
        head = b""
        while b"\r\n\r\n" not in head and len(head) < _MAX_HEAD_BYTES:
            head += (received := self.receive(end))
            if not received:
                break
        status = head.split(b"\r\n", 1)[0].decode("latin-1")
        if not status.startswith("HTTP/1."):
            raise BadStatusLine(status or "the proxy closed the connection without a reply")
        if status.split(" ")[1:2] != ["200"]:
            raise OSError(f"the proxy makes no tunnel: {status[9:]}")


def patiently(attempt: Callable[[], _T], end: float | None, job: Job) -> _T:
    """Return what `attempt` gives, which ends with a `TimeoutError` every `POLL_SECONDS`, to be made again."""
    while True:
        job.check()
        try:
            return attempt()
        except TimeoutError:  # or the system itself has given the connection up
            if end is not None and time.monotonic() >= end:
                raise


def secured(sock: socket.socket, tls: ssl.SSLContext, host: str | None, end: float | None, job: Job) -> ssl.SSLSocket:
    """Begin TLS on a connection, which is closed where that fails. What is raised is as for `Stream.open`."""
    sock.settimeout(config.POLL_SECONDS)
    secure = tls.wrap_socket(sock, server_hostname=host, do_handshake_on_connect=False)
    try:
        patiently(secure.do_handshake, end, job)
    except BaseException:
        secure.close()
        raise
    return secure


def connected(host: str, port: int, end: float | None, job: Job) -> socket.socket:
    """Connect to the first address of the host that answers. What is raised is as for `Stream.open`."""
    failure: OSError = OSError(f"{host} has no address")
    for family, kind, protocol, _, address in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM):
        sock = socket.socket(family, kind, protocol)
        try:
            sock.setblocking(False)
            _wait_until_connected(sock, sock.connect_ex(address), end, job)
        except OSError as error:
            sock.close()
            failure = error
        except BaseException:
            sock.close()
            raise
        else:
            return sock
    raise failure


def _wait_until_connected(sock: socket.socket, code: int, end: float | None, job: Job) -> None:
    with selectors.DefaultSelector() as selector:
        selector.register(sock, selectors.EVENT_WRITE)
        while code in _UNDER_WAY:
            job.check()
            rest = config.POLL_SECONDS if end is None else min(config.POLL_SECONDS, end - time.monotonic())
            if selector.select(max(rest, 0)):
                code = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            elif end is not None and time.monotonic() >= end:
                raise TimeoutError("timed out")
    if code:
        raise OSError(code, os.strerror(code))


def _proxy_for(address: str, scheme: str) -> SplitResult | None:
    named = config.proxy_for(address, scheme)
    if not named:
        return None
    proxy = urlsplit(named)
    if proxy.scheme != "http" or not proxy.hostname:
        raise OSError("the data channel goes through proxies of the kind http://host:port only")
    return proxy
