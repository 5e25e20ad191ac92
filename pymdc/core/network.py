"""Sockets whose waits end at a deadline or when the call is cancelled. Over TCP or TLS, and through proxies."""

from __future__ import annotations

import base64
import errno
import selectors
import socket
import ssl
import time
from collections.abc import Callable
from contextlib import ExitStack
from http.client import BadStatusLine
from typing import Protocol, TypeVar
from urllib.parse import SplitResult, unquote, urlsplit

from .. import config
from .addresses import connect
from .endpoints import proxy_for
from .job import Job

__all__ = ["Link", "Stream", "deadline", "retry_until", "start_tls", "wait"]

_T = TypeVar("_T")

_MAX_HEAD_BYTES = 64 * 1024  # a proxy's reply to CONNECT: some send a page along


class Link(Protocol):
    """A link to send and receive on: a socket, a socket with TLS, or TLS within TLS."""

    def settimeout(self, value: float | None, /) -> None: ...
    def recv(self, bufsize: int, /) -> bytes: ...
    def send(self, data: memoryview | bytes, /) -> int: ...
    def fileno(self) -> int: ...
    def close(self) -> None: ...


def deadline(seconds: float | None) -> float | None:
    """Return the time so many seconds from now, by `time.monotonic()`; `None` for never."""
    return None if seconds is None else time.monotonic() + seconds


def retry_until(attempt: Callable[[], _T], link: Link, end: float | None, job: Job) -> _T:
    """Call `attempt` again and again until it succeeds or a deadline passes, and return its result.

    Each attempt blocks for a short time only, so that a cancelled job is noticed. A selector would cost more, and does
    not work with TLS: only the attempt itself can tell whether a whole record has arrived.

    Arguments:
        attempt: receives or sends on `link`.
        end: the deadline, by `time.monotonic()`; `None` for none.
        job: checked every `POLL_SECONDS`.

    Raises:
        TimeoutError: the deadline has passed.
        CancelledError: the job was cancelled.
    """
    while True:
        link.settimeout(_turn(end, job))
        try:
            return attempt()
        except TimeoutError as error:
            if error.errno is not None:  # the system has given the connection up
                raise


def wait(link: Link, events: int, end: float | None, job: Job) -> None:
    """Wait until one of the selector's events is there. What is raised is as for `retry_until`."""
    with selectors.DefaultSelector() as selector:
        selector.register(link.fileno(), events)
        while True:
            if selector.select(_turn(end, job)):
                return


def _turn(end: float | None, job: Job) -> float:
    """Return how long to wait before the next look at the job and at the deadline. What is raised is as for
    `retry_until`."""
    job.check()
    rest = config.POLL_SECONDS
    if end is not None:
        rest = min(rest, end - time.monotonic())
        if rest <= 0:
            raise TimeoutError(errno.ETIMEDOUT, "timed out")
    return rest


def start_tls(link: Link, tls: ssl.SSLContext, host: str | None, end: float | None, job: Job) -> Link:
    """Begin TLS on a connection. The connection is closed if that fails.

    Raises:
        OSError: the handshake failed; `TimeoutError`: it took too long. A `ssl.SSLError` names the host.
        CancelledError: the job was cancelled.
    """
    try:
        if isinstance(link, ssl.SSLSocket):
            inner = _TlsWithinTls(link, tls, host)
            retry_until(inner.shake_hands, link, end, job)
            return inner
        assert isinstance(link, socket.socket)
        link = secure = tls.wrap_socket(link, server_hostname=host, do_handshake_on_connect=False)
        retry_until(secure.do_handshake, secure, end, job)
    except BaseException as error:
        link.close()
        if isinstance(error, ssl.SSLError):
            error.strerror = f"{error.strerror}: {host}"
        elif isinstance(error, OSError):
            error.filename = host
        raise
    return secure


class _TlsWithinTls:
    """TLS to the bridge inside of TLS to a proxy, which `ssl.SSLSocket` cannot do."""

    def __init__(self, outer: ssl.SSLSocket, tls: ssl.SSLContext, host: str | None) -> None:
        self._outer = outer
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = tls.wrap_bio(self._incoming, self._outgoing, server_hostname=host)
        self._unsent = b""
        self.fileno = outer.fileno
        self.settimeout = outer.settimeout
        self.close = outer.close

    def shake_hands(self) -> None:
        self._run(self._tls.do_handshake)
        self._flush()

    def recv(self, bufsize: int, /) -> bytes:
        try:
            return self._run(lambda: self._tls.read(bufsize))
        except (ssl.SSLZeroReturnError, ssl.SSLEOFError):  # closed, with or without an error
            return b""

    def send(self, data: memoryview | bytes, /) -> int:
        self._flush()  # before more is taken, so that no more than one piece waits
        return self._run(lambda: self._tls.write(data))

    def _run(self, operation: Callable[[], _T]) -> _T:
        while True:
            self._flush()
            try:
                return operation()
            except ssl.SSLWantReadError:
                self._flush()
                data = self._outer.recv(config.CHUNK_BYTES)
                if data:
                    self._incoming.write(data)
                else:
                    self._incoming.write_eof()

    def _flush(self) -> None:
        self._unsent += self._outgoing.read()
        while self._unsent:
            self._unsent = self._unsent[self._outer.send(self._unsent) :]


class Stream:
    """An open connection.

    Arguments:
        link: the connection; closed with the stream.
        job: when it is cancelled, whatever waits ends with a `CancelledError`.
    """

    def __init__(self, link: Link, job: Job) -> None:
        self._link = link
        self._job = job

    @classmethod
    def open(cls, host: str, port: int, tls: ssl.SSLContext | None, end: float | None, job: Job) -> Stream:
        """Connect, through a proxy if the environment names one.

        Arguments:
            tls: how to verify the other side; `None` for plain TCP.
            end: when to give up, by `time.monotonic()`.

        Raises:
            OSError: there is no connection; `TimeoutError`: not in time.
            http.client.BadStatusLine: the proxy does not speak HTTP.
            CancelledError: the job was cancelled.
        """
        proxy = _proxy_for(f"{host}:{port}", "https" if tls else "http")
        if proxy is None:
            stream = cls(connect(host, port, end, job), job)
        else:
            stream = cls(connect(proxy.hostname or "", proxy.port or 80, end, job), job)
        with ExitStack() as stack:
            stack.callback(stream.close)
            if proxy is not None:
                stream._tunnel(proxy, host, port, end)
            if tls is not None:
                stream._link = start_tls(stream._link, tls, host, end, job)
            stack.pop_all()
        return stream

    def receive(self, end: float | None) -> bytes:
        """Return the bytes that have arrived, or `b""` if the other side has closed.

        Raises:
            OSError, CancelledError: as for `open`.
        """
        return retry_until(lambda: self._link.recv(config.CHUNK_BYTES), self._link, end, self._job)

    def receive_into(self, buffer: memoryview, end: float | None) -> int:
        """Receive into the beginning of a buffer, and return how many bytes; 0 if the other side has closed.

        Raises:
            OSError, CancelledError: as for `open`.
        """
        link = self._link
        assert isinstance(link, socket.socket)  # a data channel never has TLS within TLS
        return retry_until(lambda: link.recv_into(buffer), link, end, self._job)

    def send(self, data: bytes, end: float | None) -> None:
        """Send all of `data`.

        Raises:
            OSError, CancelledError: as for `open`.
        """
        rest = memoryview(data)
        while rest:
            try:
                sent = retry_until(lambda rest=rest: self._link.send(rest), self._link, end, self._job)  # type: ignore[misc]
            except ssl.SSLEOFError as error:  # OpenSSL's word for a reset during a write
                raise ConnectionResetError(errno.ECONNRESET, "the other side reset the connection") from error
            rest = rest[sent:]

    def close(self) -> None:
        """Close the connection."""
        self._link.close()

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


def _proxy_for(address: str, scheme: str) -> SplitResult | None:
    named = proxy_for(address, scheme)
    if not named:
        return None
    proxy = urlsplit(named)
    if proxy.scheme != "http" or not proxy.hostname:
        raise OSError("the data channel goes through proxies of the kind http://host:port only")
    return proxy
