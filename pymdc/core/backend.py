"""The connections under httpcore: they can be cancelled, and they notice a reply while they still send.

httpcore's public seam for that is `NetworkBackend` and `NetworkStream`.
"""

from __future__ import annotations

import selectors
import ssl
import threading
import typing
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.client import HTTPException

import httpcore

from .. import config
from .addresses import connect
from .job import Job
from .network import Link, deadline, retry_until, start_tls, wait
from .replies import ReplyStart

__all__ = ["Backend", "DisconnectedError", "close_opened", "is_sending", "sending_for"]

_Options = typing.Iterable[tuple[int, int, int] | tuple[int, int, bytes | bytearray] | tuple[int, int, None, int]]

_NOT_GIVEN = -1.0  # httpcore gives no limit when it speaks with a SOCKS proxy
_WOULD_BLOCK = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)

_current = threading.local()  # the job that this thread sends for, and its limit: httpx cannot pass them as arguments


class DisconnectedError(httpcore.RemoteProtocolError):
    """The other side closed the connection before a reply, or in its head."""


@contextmanager
def sending_for(job: Job, limit: float | None) -> Iterator[None]:
    """Set the job that this thread sends for. One call may be made within another, for example in a progress callback.

    Arguments:
        limit: the limit in seconds for waits for which httpcore gives no limit.
    """
    before = vars(_current).copy()
    _current.job, _current.limit, _current.opened = job, limit, []
    try:
        yield
    finally:
        vars(_current).clear()
        vars(_current).update(before)


def is_sending() -> bool:
    """Tell whether this thread sends for a job."""
    return getattr(_current, "job", None) is not None


def close_opened() -> None:
    """Close the connections that this thread has opened for the job: the exchange has failed.

    httpcore closes connections itself, except one that a SOCKS proxy has refused or broken.
    """
    for stream in _current.opened:
        stream.close()


class Backend(httpcore.NetworkBackend):
    """Opens connections for httpcore, in a thread that sends for a job."""

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: _Options | None = None,
    ) -> httpcore.NetworkStream:
        """Connect. The last two arguments are httpcore's, and not used."""
        with _connecting():
            stream = _Stream(connect(host, port, deadline(timeout), _current.job))
        _current.opened.append(stream)
        return stream


@contextmanager
def _connecting() -> Iterator[None]:
    try:
        yield
    except TimeoutError as error:
        raise httpcore.ConnectTimeout(str(error)) from error
    except OSError as error:
        raise httpcore.ConnectError(str(error)) from error


class _Stream(httpcore.NetworkStream):
    """A connection for one exchange after another.

    A write raises `httpcore.WriteError` as soon as the other side has begun to reply, or has closed. Then httpcore
    reads the reply. The bridges of 2016 refuse a large upload at once and then stop reading. A client that only writes
    would hang until its write times out, and would never read the refusal.

    The last byte that has arrived is held back until httpcore asks for more. If httpcore never asks, this byte came
    after the end of the reply, and the connection must not be used again.
    """

    def __init__(self, link: Link) -> None:
        self._link = link
        self._reply = ReplyStart()
        self._received = b""  # bytes that httpcore has not asked for yet
        self._unsent = b""  # the head of a request, which is sent along with what follows
        self._writing = False
        self._untouched = False  # the connection was used before, and nothing of this request was sent yet
        self._limit: float | None = None  # of the last write
        self._failure: OSError | None = None  # the error of the last write

    def read(self, max_bytes: int, timeout: float | None = _NOT_GIVEN) -> bytes:
        """Return the next bytes, or `b""` if the other side has closed. Without `timeout` the job's limit counts."""
        if self._writing:
            self._writing = False
            self._flush()
        if not self._received:
            limit = _current.limit if timeout == _NOT_GIVEN else timeout
            with _reading():
                self._received = self._receive(max_bytes, limit)
        count = min(len(self._received), max_bytes)
        if (
            count > 1 and count == len(self._received) and self._reply.is_http
        ):  # httpcore reads a SOCKS proxy's word once
            count -= 1
        data, self._received = self._received[:count], self._received[count:]
        return data

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        """Send all of `buffer`.

        Raises:
            httpcore.WriteError: the other side has begun to reply, or has closed.
            httpcore.ConnectionNotAvailable: it closed an idle connection before anything was sent; see `_begin`.
        """
        self._limit = timeout
        if not self._writing:
            self._begin()
            self._unsent = buffer
            return
        data = self._unsent + buffer if self._unsent else buffer
        self._unsent = b""
        self._send(memoryview(data))

    def close(self) -> None:
        """Close the connection."""
        self._link.close()

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> httpcore.NetworkStream:
        """Return a stream with TLS over this connection."""
        with _connecting():
            return _Stream(start_tls(self._link, ssl_context, server_hostname, deadline(timeout), _current.job))

    def get_extra_info(self, info: str) -> typing.Any:
        """Return what httpcore asks for: whether an idle connection can no longer be used.

        `_begin` checks whether the other side has closed it, right before the connection is used. Here the check would
        cost a system call for each connection of the pool, twice in each request, under the pool's lock.
        """
        return self._received != b"" if info == "is_readable" else None

    def _begin(self) -> None:
        """Begin a request. If the connection was used before, check whether it was closed meanwhile.

        Raises:
            httpcore.ConnectionNotAvailable: it cannot be used, so the pool must take another one. Nothing was sent.
        """
        self._untouched = self._reply.complete
        if self._untouched:
            self._link.settimeout(0)
            try:
                self._link.recv(1)
            except _WOULD_BLOCK:
                pass
            except OSError as error:
                raise httpcore.ConnectionNotAvailable from error
            else:  # closed, or there are bytes after the last reply
                raise httpcore.ConnectionNotAvailable
        self._reply = ReplyStart()
        self._failure = None
        self._writing = True

    def _flush(self) -> None:
        data, self._unsent = self._unsent, b""
        with suppress(httpcore.WriteError):  # whether there is a reply tells more
            self._send(memoryview(data))

    def _send(self, rest: memoryview) -> None:
        try:
            while rest:
                self._link.settimeout(0)
                self._look_for_reply()
                try:
                    rest = rest[self._link.send(rest) :]
                    self._untouched = False
                except _WOULD_BLOCK:
                    self._untouched = False  # a part of a TLS record may have been sent
                    wait(self._link, selectors.EVENT_READ | selectors.EVENT_WRITE, deadline(self._limit), _current.job)
        except TimeoutError as error:
            raise httpcore.WriteTimeout(str(error)) from error
        except OSError as error:
            self._failure = error
            self._take_another(error)
            raise httpcore.WriteError(str(error)) from error

    def _take_another(self, error: OSError | None = None) -> None:
        """Make the pool send the request on another connection, if nothing of it was sent on this one.

        The connection was closed after the check, while the body was made. If a byte was sent, nobody knows whether the
        bridge has acted on the request: then the call fails, and `Exchange` decides whether to repeat it.
        """
        if self._untouched:
            raise httpcore.ConnectionNotAvailable from error

    def _look_for_reply(self) -> None:
        """Check whether the other side has begun to reply.

        A readable socket is not enough: with TLS 1.3 a server sends session tickets at any time. It may also send
        interim replies, and still wait for the rest of the request.
        """
        try:
            data = self._link.recv(config.CHUNK_BYTES)
        except _WOULD_BLOCK:
            return
        if data:
            self._received += self._feed(data)
        if self._received or not data:
            self._take_another()
            raise httpcore.WriteError("the other side has already replied")

    def _receive(self, max_bytes: int, limit: float | None) -> bytes:
        while True:
            data = retry_until(lambda: self._link.recv(max_bytes), self._link, deadline(limit), _current.job)
            if not data:
                return self._ended()
            if received := self._feed(data):
                return received

    def _feed(self, data: bytes) -> bytes:
        try:
            return self._reply.feed(data)
        except HTTPException as error:
            raise httpcore.RemoteProtocolError(str(error)) from error

    def _ended(self) -> bytes:
        if self._failure is not None:  # the connection was reset before a reply arrived
            raise self._failure
        if not self._reply.complete and self._reply.is_http:
            raise DisconnectedError("closed without a reply")
        return b""


@contextmanager
def _reading() -> Iterator[None]:
    try:
        yield
    except TimeoutError as error:
        raise httpcore.ReadTimeout(str(error)) from error
    except OSError as error:
        raise httpcore.ReadError(str(error)) from error
