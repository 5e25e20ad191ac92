"""The transport: send one request to the bridge, and get a reply or an exception value.

The only file that knows httpx. It shares httpcore, on which httpx is built, with `backend.py`.
"""

from __future__ import annotations

import errno
import logging
import ssl
import sys
import typing
import weakref
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import CancelledError
from contextlib import closing
from http.client import BadStatusLine, IncompleteRead, RemoteDisconnected
from importlib.util import find_spec
from urllib.error import URLError
from urllib.parse import SplitResult

import httpcore
import httpx

from .. import config
from ..errors import caused_by, cut_off, os_error_under
from .backend import Backend, DisconnectedError, close_opened, is_sending, sending_for
from .endpoints import proxy_for
from .job import Job
from .replies import Content
from .wire import Reply, Request

__all__ = ["Transport", "tls_context"]


class Transport:
    """The connections of one client to its bridge. All threads share it.

    Arguments:
        endpoint: the bridge's URL, split.
        timeout: limits on silence.
        verify: as for `Client`.
        user_agent: the header `User-Agent` of the requests.

    Attributes:
        calls: how many calls use it, as its client counts them: it is closed when no call does.

    Raises:
        ValueError: the environment names a malformed proxy.
        ImportError: it names a SOCKS proxy, and the package socksio is not installed.
        OSError: the certificates that are trusted cannot be loaded.
    """

    def __init__(
        self, endpoint: SplitResult, timeout: config.Timeout, verify: ssl.SSLContext | bool, user_agent: str
    ) -> None:
        self.calls = 0
        self._origin = f"{endpoint.scheme}://{endpoint.netloc}"
        self._timeout = timeout
        self._headers = {"User-Agent": user_agent, "Accept": "*/*", "Accept-Encoding": "identity"}
        proxy = _proxy_for(endpoint)
        self._traced = proxy is not None and (endpoint.scheme == "https" or proxy.url.scheme.startswith(b"socks"))
        http = _Http(
            transport=_Pool(tls_context(verify), proxy),
            trust_env=False,  # the proxies of the environment were read above; a .netrc must not add credentials
        )
        self._http = http
        self._closer = weakref.finalize(self, http.close)
        self._closer.atexit = False  # handlers of atexit may make calls; see `client_core`

    def close(self) -> None:
        """Close the connections, unless they belong to the parent of this process. Calls that still run fail."""
        if self._closer.detach():  # the closer itself does nothing any more once the process ends
            self._http.close()

    def leave_to_parent(self) -> None:
        """Leave the connections to the parent, in the child of a fork: closing them might wait for ever for a lock."""
        self._closer.detach()
        _inherited.append(self)

    def send(self, request: Request, job: Job, body: Iterable[bytes] | None = None) -> Reply | Exception:
        """Send one request and return the reply, or an exception as a value.

        Arguments:
            request: the request.
            job: if it is cancelled, the exchange ends.
            body: sent in place of the request's body, piece by piece. If it raises, the exception is the value.
        """
        tunnel = _Tunnel()
        handled = sys.exc_info()[1]  # for example by the program, which makes the call in an `except`
        with sending_for(job, self._timeout.connect):
            try:
                response = self._http.send(self._request(request, body, tunnel), stream=True, auth=None)
            except Exception as error:  # noqa: BLE001 - errors are values
                _clean(error, handled)
                return _before_the_body(error, self._origin, in_a_tunnel=tunnel.is_being_made)
            with closing(response):
                return _read(response, handled)

    def _request(self, request: Request, body: Iterable[bytes] | None, tunnel: _Tunnel) -> httpx.Request:
        limits = self._timeout
        extensions: dict[str, typing.Any] = {
            "timeout": {
                "connect": limits.connect,
                "read": limits.read if body is None else limits.transfer,
                "write": limits.write,
                "pool": limits.pool,
            }
        }
        if self._traced:
            extensions["trace"] = tunnel.trace
        return httpx.Request(
            request.method,
            self._origin + request.target,
            headers={**self._headers, **request.headers},
            content=request.body or None if body is None else body,
            extensions=extensions,
        )


_inherited: list[Transport] = []  # the parent's connections, in the child of a fork: freeing one would close it


def tls_context(verify: ssl.SSLContext | bool) -> ssl.SSLContext:
    """Return the context for TLS that `verify` asks for, in connections to the bridge and to the hosts of shards.

    Raises:
        OSError: the certificates that are trusted cannot be loaded.
    """
    try:
        return httpx.create_ssl_context(verify=verify, trust_env=True)
    except OSError as error:  # it does not say which file
        words = "the trusted certificates cannot be loaded, see SSL_CERT_FILE and SSL_CERT_DIR"
        raise OSError(errno.EINVAL, f"{words}: {error.strerror or error}") from error


class _Tunnel:
    """Learns from httpcore whether a proxy was asked for a tunnel, and nothing was sent through it yet."""

    is_being_made = False

    def trace(self, event: str, details: Mapping[str, typing.Any]) -> None:
        if event == "http11.send_request_headers.started":
            self.is_being_made = details["request"].method == b"CONNECT"
        elif event.startswith("socks.setup_socks5_connection."):
            self.is_being_made = not event.endswith(".complete")


class _NoCookies(httpx.Cookies):
    def extract_cookies(self, response: httpx.Response) -> None:
        """Keep nothing."""


_NO_COOKIES = _NoCookies()


class _Http(httpx.Client):
    """A client without cookies: one call leaves nothing for the next. To look for some takes a tenth of a call."""

    cookies = property(lambda self: _NO_COOKIES)


class _Pool(httpx.BaseTransport):
    """httpcore's pool of connections, over our own streams."""

    def __init__(self, tls: ssl.SSLContext, proxy: httpcore.Proxy | None) -> None:
        self._pool = httpcore.ConnectionPool(
            ssl_context=tls,
            proxy=proxy,
            max_connections=None,
            max_keepalive_connections=config.WORKERS,
            keepalive_expiry=config.KEEP_ALIVE_SECONDS,
            network_backend=Backend(),
        )

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        url = request.url
        try:
            response = self._pool.handle_request(
                httpcore.Request(
                    method=request.method,
                    url=httpcore.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path),
                    headers=request.headers.raw,
                    content=request.stream,
                    extensions=request.extensions,
                )
            )
        except BaseException:
            close_opened()
            raise
        return _FinalResponse(
            response.status, headers=response.headers, stream=_Body(response), extensions=response.extensions
        )

    def close(self) -> None:
        self._pool.close()


class _Body(httpx.SyncByteStream):
    def __init__(self, response: httpcore.Response) -> None:
        self._response = response

    def __iter__(self) -> Iterator[bytes]:
        return self._response.iter_stream()

    def close(self) -> None:
        self._response.close()


class _FinalResponse(httpx.Response):
    """A response that httpx does not treat as a redirect.

    httpx prepares the request of a redirect even if it must not follow it, and raises if the location is not a URL.
    """

    @property
    def has_redirect_location(self) -> bool:
        return False


def _read(response: httpx.Response, handled: BaseException | None) -> Reply | Exception:
    headers = response.headers
    received, partial = 0, bytearray()
    try:
        content = Content(headers.get("content-encoding", ""))
        partial = content.data
        # The response of a test's mock may have been read and decoded already.
        pieces = [response.content] if response.is_stream_consumed else response.iter_raw()
        for piece in pieces:
            received += len(piece)
            content.add(piece)
        body = content.finish()
    except Exception as error:  # noqa: BLE001 - errors are values
        _clean(error, handled)
        return _in_the_body(error, bytes(partial), received, headers.get("content-length"))
    return Reply(str(response.url), response.status_code, response.reason_phrase, headers.multi_items(), body)


# httpx's exceptions come from httpx itself, and from tests that mock it; httpcore's come through `_Pool` as they are.
_TIMEOUT = (httpx.TimeoutException, httpcore.TimeoutException)
_CONNECT_TIMEOUT = (httpx.ConnectTimeout, httpcore.ConnectTimeout)
_NETWORK = (httpx.NetworkError, httpcore.NetworkError)
_PROTOCOL = (httpx.RemoteProtocolError, httpcore.RemoteProtocolError)
_UNREACHABLE = (
    *(httpx.ConnectError, httpx.ProxyError, httpx.UnsupportedProtocol, httpx.InvalidURL),
    *(httpcore.ConnectError, httpcore.ProxyError, httpcore.UnsupportedProtocol),
    UnicodeError,  # not a valid host name
)
_OF_THE_JOB = (CancelledError, TimeoutError)  # what `Job.check` raises; the package socksio has errors of its own


def _clean(error: Exception, handled: BaseException | None) -> None:
    """Remove the request, with its credentials, and older exceptions from an exception that becomes a cause.

    Arguments:
        handled: the exception that was being handled when the request was made.
    """
    cut_off(error, handled)
    if isinstance(error, httpx.RequestError):
        error.request = None  # type: ignore[assignment]


def _before_the_body(error: Exception, origin: str, *, in_a_tunnel: bool) -> Exception:
    """Turn an exception before the body of a reply into the documented value.

    Arguments:
        in_a_tunnel: it happened on the way to a proxy, before anything was sent to the bridge.
    """
    if (in_a_tunnel and isinstance(error, _TIMEOUT)) or isinstance(error, _CONNECT_TIMEOUT):
        return caused_by(URLError(os_error_under(error) or TimeoutError("timed out"), origin), error)
    if (in_a_tunnel and not isinstance(error, _OF_THE_JOB)) or isinstance(error, _UNREACHABLE):
        return caused_by(URLError(os_error_under(error) or str(error), origin), error)
    if isinstance(error, DisconnectedError):
        return caused_by(RemoteDisconnected("the bridge closed the connection without a reply"), error)
    if isinstance(error, _PROTOCOL):
        return caused_by(BadStatusLine(str(error)), error)
    return _at_any_time(error)


def _in_the_body(error: Exception, partial: bytes, received: int, length: str | None) -> Exception:
    """Turn an exception during the body of a reply into the documented value."""
    if isinstance(error, _PROTOCOL):
        missing = int(length) - received if length and length.isdecimal() else None
        return caused_by(IncompleteRead(partial, missing), error)
    return _at_any_time(error)


def _at_any_time(error: Exception) -> Exception:
    if isinstance(error, _TIMEOUT):
        return caused_by(TimeoutError("timed out"), error)
    if isinstance(error, _NETWORK):
        under = os_error_under(error)
        if under is None:
            return caused_by(ConnectionError(str(error)), error)
        if isinstance(under, ssl.SSLEOFError):  # OpenSSL's word for a reset during a write
            return caused_by(ConnectionResetError(errno.ECONNRESET, "the bridge reset the connection"), error)
        return caused_by(type(under)(*under.args), error)
    return error


def _proxy_for(endpoint: SplitResult) -> httpcore.Proxy | None:
    """Return the proxy that the environment names for the endpoint.

    Raises:
        ValueError: it is malformed. The message does not repeat it, since it may contain a password.
        ImportError: it is a SOCKS proxy, and the package socksio is not installed.
    """
    named = proxy_for(endpoint.netloc, endpoint.scheme)
    if not named:
        return None
    try:
        proxy = httpx.Proxy(named)
    except (ValueError, httpx.InvalidURL):
        raise ValueError("malformed proxy in the environment: expected something like http://127.0.0.1:3128") from None
    url = proxy.url
    if url.scheme.startswith("socks5") and find_spec("socksio") is None:
        raise ImportError("the environment names a SOCKS proxy: install the package socksio, or name another proxy")
    return httpcore.Proxy(
        httpcore.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path), auth=proxy.raw_auth
    )


# httpx logs each request's URL, and the URL of an activation holds its token; httpcore logs the headers of replies,
# cookies and redirects of an activation among them, and the password of a SOCKS proxy. The filter keeps these records
# of our requests out of the logs. It leaves alone the requests that the program itself makes with httpx.
_TELLS_SECRETS = ("receive_response_headers", "setup_socks5_connection")


def _not_ours(record: logging.LogRecord) -> bool:
    tells = record.name == "httpx" or str(record.msg).startswith(_TELLS_SECRETS)
    return not (tells and is_sending())


for _name in ("httpx", "httpcore.http11", "httpcore.socks"):
    logging.getLogger(_name).addFilter(_not_ours)
