"""The core transport: one exchange with the bridge, which gives either a reply or an exception value.

The only file that knows httpx, and httpcore under it.
"""

from __future__ import annotations

import errno
import logging
import re
import selectors
import socket
import ssl
import threading
import time
import typing
import weakref
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from http.client import BadStatusLine, HTTPException, IncompleteRead, RemoteDisconnected
from http.cookiejar import CookieJar, DefaultCookiePolicy
from urllib.error import URLError
from urllib.parse import SplitResult

import httpcore
import httpx
from httpcore._backends.sync import SyncStream  # what its own backend makes of a socket

from .. import config
from ..errors import caused_by, os_error_under
from .job import Job
from .network import connected, secured
from .wire import Reply, Request

__all__ = ["Transport"]

_INTERIM = re.compile(rb"(HTTP/1\.1 1\d\d.*?\r\n\r\n)+", re.DOTALL)

_Options = typing.Iterable[tuple[int, int, int] | tuple[int, int, bytes | bytearray] | tuple[int, int, None, int]]


class Transport:
    """The connections of one client to its bridge. All threads share it.

    Arguments:
        endpoint: the bridge's URL, split.
        timeout: limits on silence.
        verify: as for `Client`.
        user_agent: what the requests say that they come from.

    Raises:
        ValueError: the environment names a proxy that is none.
        ImportError: it names a SOCKS proxy, and the package for those is not installed.
    """

    def __init__(
        self, endpoint: SplitResult, timeout: config.Timeout, verify: ssl.SSLContext | bool, user_agent: str
    ) -> None:
        self._origin = f"{endpoint.scheme}://{endpoint.netloc}"
        self._timeout = timeout
        http = httpx.Client(
            transport=_ReplyFirstTransport(
                verify=httpx.create_ssl_context(verify=verify, trust_env=True),
                limits=httpx.Limits(
                    max_connections=None,
                    max_keepalive_connections=config.WORKERS,
                    keepalive_expiry=config.KEEP_ALIVE_SECONDS,
                ),
                proxy=_proxy_for(endpoint),
            ),
            headers={"User-Agent": user_agent, "Accept-Encoding": "identity"},
            cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),  # one call leaves nothing for the next
            trust_env=False,  # what the environment says was read above; a .netrc must not add credentials
        )
        self._http = http
        self._closer = weakref.finalize(self, http.close)

    def close(self) -> None:
        """Close the connections. What is still under way fails."""
        self._closer()

    def send(self, request: Request, job: Job, body: Iterable[bytes] | None = None) -> Reply | Exception:
        """Send one request and return the reply, or the exception value that tells what went wrong.

        Arguments:
            request: what to send.
            job: ends the exchange when it is cancelled.
            body: sent in place of the request's body, piece by piece; what it raises is the value.
        """
        silence = self._timeout.read if body is None else self._timeout.transfer
        timeout = httpx.Timeout(
            connect=self._timeout.connect, read=silence, write=self._timeout.write, pool=self._timeout.pool
        )
        tunnelling = False  # whether a proxy was asked for a tunnel, and nothing was sent through it

        def trace(event: str, details: Mapping[str, typing.Any]) -> None:
            nonlocal tunnelling
            if event == "http11.send_request_headers.started":
                tunnelling = details["request"].method == b"CONNECT"

        try:
            sent = self._http.build_request(
                request.method,
                self._origin + request.target,
                headers=dict(request.headers),
                content=request.body or None if body is None else body,
                timeout=timeout,
                extensions={"trace": trace},
            )
            with _sending(job):
                response = self._http.send(sent, stream=True, auth=None, follow_redirects=False)
        except Exception as error:  # noqa: BLE001 - errors are values
            return _in_a_tunnel(error) if tunnelling else _before_the_body(error)
        with closing(response), _sending(job):
            return _read(response)


def _read(response: httpx.Response) -> Reply | Exception:
    body = bytearray()
    try:
        for chunk in response.iter_bytes():
            body += chunk
            if len(body) > config.MAX_REPLY_BYTES:
                return HTTPException(f"the reply is larger than {config.MAX_REPLY_BYTES} bytes")
    except Exception as error:  # noqa: BLE001 - errors are values
        return _in_the_body(error, bytes(body), response.headers.get("content-length"))
    headers = [(name, value) for name, value in response.headers.multi_items()]
    return Reply(str(response.url), response.status_code, response.reason_phrase, headers, bytes(body))


def _in_a_tunnel(error: Exception) -> Exception:
    """Turn what went wrong with a proxy, before anything was sent to the bridge, into the documented value."""
    if isinstance(error, httpx.TimeoutException):
        return caused_by(URLError(TimeoutError("timed out")), error)
    if isinstance(error, httpx.TransportError):
        return caused_by(URLError(os_error_under(error) or str(error)), error)
    return error


def _before_the_body(error: Exception) -> Exception:
    """Turn what went wrong before a reply's body began into the documented value."""
    if isinstance(error, httpx.ConnectTimeout):
        return caused_by(URLError(TimeoutError("timed out")), error)
    if isinstance(
        error, httpx.ConnectError | httpx.ProxyError | httpx.UnsupportedProtocol | httpx.InvalidURL | UnicodeError
    ):  # UnicodeError: a host name that is none
        return caused_by(URLError(os_error_under(error) or str(error)), error)
    if isinstance(error, httpx.RemoteProtocolError):
        if "disconnected" in str(error):
            return caused_by(RemoteDisconnected("the bridge closed the connection without a reply"), error)
        return caused_by(BadStatusLine(str(error)), error)
    return _anywhere(error)


def _in_the_body(error: Exception, partial: bytes, length: str | None) -> Exception:
    """Turn what went wrong while a reply's body was read into the documented value."""
    if isinstance(error, httpx.RemoteProtocolError):
        missing = int(length) - len(partial) if length and length.isdecimal() else None
        return caused_by(IncompleteRead(partial, missing), error)
    if isinstance(error, httpx.DecodingError):
        return caused_by(HTTPException(f"the reply cannot be decoded: {error}"), error)
    return _anywhere(error)


def _anywhere(error: Exception) -> Exception:
    if isinstance(error, httpx.TimeoutException):
        return caused_by(TimeoutError("timed out"), error)
    if isinstance(error, httpx.NetworkError):
        under = os_error_under(error)
        if under is None:
            return caused_by(ConnectionError(str(error)), error)
        if isinstance(under, ssl.SSLEOFError):  # OpenSSL's word for a reset that a write met
            return caused_by(ConnectionResetError(errno.ECONNRESET, "the bridge reset the connection"), error)
        return caused_by(type(under)(*under.args), error)
    return error


def _proxy_for(endpoint: SplitResult) -> httpx.Proxy | None:
    """Return the proxy that the environment names for the endpoint.

    Raises:
        ValueError: what is named is no proxy. The message does not repeat it: it may hold a password.
    """
    named = config.proxy_for(endpoint.netloc, endpoint.scheme)
    try:
        return httpx.Proxy(named) if named else None
    except (ValueError, httpx.InvalidURL):
        raise ValueError("malformed proxy in the environment: expected something like http://127.0.0.1:3128") from None


# httpx logs each request's URL, and the URL of an activation holds its token; httpcore logs the headers of replies,
# cookies and redirects of an activation among them. The filter keeps these records of our requests out of the logs, and
# leaves alone those of requests that the program makes by itself.
_ours = threading.local()


def _not_ours(record: logging.LogRecord) -> bool:
    tells = record.name == "httpx" or "receive_response_headers" in str(record.msg)
    return not (tells and getattr(_ours, "job", None))


for _name in ("httpx", "httpcore.http11"):
    logging.getLogger(_name).addFilter(_not_ours)


@contextmanager
def _sending(job: Job) -> Iterator[None]:
    """Say for whom this thread sends: to the filter of the logs, and to the streams, which httpx keeps out of reach."""
    _ours.job = job
    try:
        yield
    finally:
        _ours.job = None


class _ReplyFirstTransport(httpx.HTTPTransport):
    """httpx's own transport over streams that look for a reply while they send.

    The bridges of 2016 refuse a large upload at once and then stop reading: a client that only writes hangs until its
    write times out, with the refusal unread.
    """

    def __init__(self, *, verify: ssl.SSLContext, limits: httpx.Limits, proxy: httpx.Proxy | None) -> None:
        super().__init__(verify=verify, limits=limits, proxy=proxy, trust_env=False)
        # httpx has no argument for httpcore's network backend, whatever the kind of its pool.
        self._pool._network_backend = _ReplyFirstBackend()

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        response = super().handle_request(request)
        return _FinalResponse(
            response.status_code, headers=response.headers, stream=response.stream, extensions=response.extensions
        )


class _FinalResponse(httpx.Response):
    """A response that httpx does not take for a redirect.

    It would prepare the next request though it is not to send it, and raise where the location is no URL.
    """

    @property
    def has_redirect_location(self) -> bool:
        return False


class _ReplyFirstBackend(httpcore.NetworkBackend):
    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: _Options | None = None,
    ) -> httpcore.NetworkStream:
        with _connecting():
            sock = connected(host, port, _after(timeout), _ours.job)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return _ReplyFirstStream(SyncStream(sock))


@contextmanager
def _connecting() -> Iterator[None]:
    try:
        yield
    except TimeoutError as error:
        raise httpcore.ConnectTimeout(str(error)) from error
    except OSError as error:
        raise httpcore.ConnectError(str(error)) from error


def _after(seconds: float | None) -> float | None:
    return None if seconds is None else time.monotonic() + seconds


@contextmanager
def _watching(sock: socket.socket, events: int) -> Iterator[Callable[[float | None], int]]:
    """Give a function that waits, so many seconds, until one of the events is there; 0 says that none came.

    It raises as soon as the job is cancelled for which this thread sends.
    """
    with selectors.DefaultSelector() as selector:
        selector.register(sock, events)

        def ready(timeout: float | None) -> int:
            end = _after(timeout)
            while True:
                _ours.job.check()
                rest = config.POLL_SECONDS if end is None else min(config.POLL_SECONDS, end - time.monotonic())
                found = selector.select(max(rest, 0))
                if found:
                    return found[0][1]
                if end is not None and time.monotonic() >= end:
                    return 0

        yield ready


class _ReplyFirstStream(httpcore.NetworkStream):
    """A stream whose write ends in `httpcore.WriteError` as soon as the other side has sent something, or closed.

    httpcore answers a WriteError by reading the reply. Readiness of the socket is not enough to tell: under TLS 1.3
    session tickets come unasked, and so may interim replies, after which a server still wants the rest. So what is
    there is read, decrypted, looked at, and kept for the next read.
    """

    def __init__(self, stream: httpcore.NetworkStream) -> None:
        self._stream = stream
        self._socket: socket.socket = stream.get_extra_info("socket")
        self._early: bytes | None = None
        self._failure: OSError | None = None

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        early, self._early = self._early, None
        data = self._read(max_bytes, timeout) if early is None else early
        if data or self._failure is None:
            return data
        try:  # the write met a reset; no reply had come before it
            raise self._failure
        except OSError as error:
            raise httpcore.ReadError(str(error)) from error

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        try:
            self._write(memoryview(buffer), timeout)
        except OSError as error:
            self._failure = error
            raise httpcore.WriteError(str(error)) from error

    def _read(self, max_bytes: int, timeout: float | None) -> bytes:
        decrypted = isinstance(self._socket, ssl.SSLSocket) and self._socket.pending()
        if not decrypted:
            with _watching(self._socket, selectors.EVENT_READ) as ready:
                if not ready(timeout):
                    raise httpcore.ReadTimeout("timed out")
        return self._stream.read(max_bytes, timeout)

    def _write(self, rest: memoryview, timeout: float | None) -> None:
        self._socket.settimeout(0)
        with _watching(self._socket, selectors.EVENT_READ | selectors.EVENT_WRITE) as ready:
            while rest:
                events = ready(timeout)
                if not events:
                    raise httpcore.WriteTimeout("timed out")
                if events & selectors.EVENT_READ:
                    self._look_for_a_reply()
                with suppress(BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
                    rest = rest[self._socket.send(rest) :]

    def _look_for_a_reply(self) -> None:
        with suppress(BlockingIOError, ssl.SSLWantReadError):
            data = self._socket.recv(config.CHUNK_BYTES)
            self._early = (self._early or b"") + data
            if not data or not _INTERIM.fullmatch(self._early):
                raise httpcore.WriteError("the other side has already replied")

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> httpcore.NetworkStream:
        if isinstance(self._socket, ssl.SSLSocket):  # TLS within TLS, through a proxy: no socket of its own to watch
            return self._stream.start_tls(ssl_context, server_hostname, timeout)
        with _connecting():
            sock = secured(self._socket, ssl_context, server_hostname, _after(timeout), _ours.job)
        return _ReplyFirstStream(SyncStream(sock))

    def get_extra_info(self, info: str) -> typing.Any:
        return self._stream.get_extra_info(info)
