"""The table of the faults between a client and its bridge: no connection, TLS, proxies, and redirects."""

from __future__ import annotations

import atexit
import datetime
import functools
import os
import socket
import ssl
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from http.client import BadStatusLine, RemoteDisconnected
from unittest.mock import patch
from urllib.error import URLError

import trustme

from pymdc import Client, Timeout

from ..hostile import (
    HOST,
    Connection,
    Script,
    Server,
    authority_pem,
    client_context,
    full_backlog,
    refusing_port,
    relay,
    reply_bytes,
    server_context,
    socks_relay,
)
from .expected import Expected, Fails, Gives, Refused
from .faults_of_replies import FINE, HTML, REFUSAL, bridge
from .modes import Fault, Moment, Scene

__all__ = ["ROADS", "bad_context"]

SHORT = Timeout(connect=0.1, read=20, write=20, pool=20, transfer=20, channel=20)
REFUSED = Fails(URLError, ConnectionRefusedError)
LATE = Fails(URLError, TimeoutError)
UNREACHABLE = Fails(URLError)


@functools.cache
def bad_context(kind: str) -> ssl.SSLContext:
    """Return a server's context whose certificate no client should take."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    past = datetime.datetime(2016, 1, 1, tzinfo=datetime.timezone.utc)
    authority = trustme.CA()
    authority.configure_trust(client_context())
    if kind == "expired":
        issued = authority.issue_cert(HOST, not_before=past, not_after=past + datetime.timedelta(days=90))
    elif kind == "of another host":
        issued = authority.issue_cert("elsewhere.example.com")
    else:
        issued = trustme.CA().issue_cert(HOST)
    issued.configure_cert(context)
    return context


@contextmanager
def _client(moment: Moment, address: str, scheme: str = "") -> Iterator[Scene]:
    scheme = scheme or ("https" if moment.tls else "http")
    with Client(f"{scheme}://{address}", timeout=moment.timeout, verify=client_context()) as client:
        yield Scene(client)


@contextmanager
def _nobody(moment: Moment) -> Iterator[Scene]:
    with refusing_port() as port, _client(moment, f"{HOST}:{port}") as scene:
        yield scene


@contextmanager
def _dead(moment: Moment) -> Iterator[Scene]:
    with full_backlog() as port, _client(moment, f"{HOST}:{port}") as scene:
        yield scene


def _https(script: Script, context: ssl.SSLContext | None = None) -> Callable[[Moment], AbstractContextManager[Scene]]:
    @contextmanager
    def place(moment: Moment) -> Iterator[Scene]:
        with Server(script, context=context) as server, _client(moment, f"{HOST}:{server.port}", "https") as scene:
            yield scene

    return place


def _plain(connection: Connection) -> None:
    connection.sock.recv(1 << 16)
    connection.reply(400, "this is plain HTTP")


def _reset(connection: Connection) -> None:
    connection.sock.recv(1 << 16)
    connection.reset()


def _half_a_record(connection: Connection) -> None:
    connection.sock.recv(1 << 16)
    connection.send(b"\x16\x03\x03\x20\x00\x02")
    connection.wait()


def _closed(connection: Connection) -> None:
    connection.sock.recv(1 << 16)


_NO_TLS = Fails(URLError, OSError)
TLS = [
    Fault("an expired certificate", _https(Connection.wait, bad_context("expired")), Fails(URLError, ssl.SSLError)),
    Fault(
        "a certificate of another host",
        _https(Connection.wait, bad_context("of another host")),
        Fails(URLError, ssl.SSLError),
    ),
    Fault("a certificate of nobody", _https(Connection.wait, bad_context("of nobody")), Fails(URLError, ssl.SSLError)),
    Fault("no TLS", _https(_plain), Fails(URLError, ssl.SSLError)),
    Fault("a reset within the handshake", _https(_reset), _NO_TLS),
    Fault("a close within the handshake", _https(_closed), _NO_TLS),
    Fault("a stall within the handshake", _https(_half_a_record), LATE, timeout=SHORT, stalls=True),
    Fault("a stall before the handshake", _https(Connection.wait), LATE, timeout=SHORT, stalls=True),
]
TLS = [Fault(**{**vars(fault), "secure": (True,)}) for fault in TLS]

NO_CONNECTION = [
    Fault("nobody there", _nobody, REFUSED),
    Fault("no such host", lambda moment: _client(moment, "nowhere.invalid"), Fails(URLError, socket.gaierror)),
    Fault("a host that is no name", lambda moment: _client(moment, "x" * 70 + ".invalid"), UNREACHABLE),
    Fault("an endpoint that is none", lambda moment: _client(moment, "", "bridge"), UNREACHABLE),
    Fault("a dead address", _dead, LATE, timeout=SHORT, stalls=True),
]


@functools.cache
def _authority_file() -> str:
    """Return the path of a file with the authority of this machine's certificates: a proxy's is verified by that."""
    with tempfile.NamedTemporaryFile(suffix=".pem", delete=False) as file:
        file.write(authority_pem())
    atexit.register(os.unlink, file.name)
    return file.name


@contextmanager
def _proxied(script: Script | str, tls: bool, scheme: str) -> Iterator[None]:
    """Have the environment name a proxy that is like this, or that is at this address."""
    with ExitStack() as stack:
        url = script
        if not isinstance(url, str):
            context = server_context() if scheme == "https" else None
            url = f"{scheme}://{HOST}:{stack.enter_context(Server(url, context=context)).port}"
        named = {"https_proxy" if tls else "http_proxy": url, "no_proxy": "", "SSL_CERT_FILE": _authority_file()}
        stack.enter_context(patch.dict(os.environ, named))
        yield


def _behind(script: Script | str, tls: bool, scheme: str = "http") -> Callable[[Moment], AbstractContextManager[Scene]]:
    """Go by way of such a proxy to a bridge that is not there."""

    @contextmanager
    def place(moment: Moment) -> Iterator[Scene]:
        with _proxied(script, tls, scheme), _client(moment, "bridge.example.com") as scene:
            yield scene

    return place


def _saying(data: bytes) -> Script:
    def script(connection: Connection) -> None:
        while connection.read_request() is not None:
            connection.send(data)
            if not data:
                return

    return script


def _stalling(connection: Connection) -> None:
    connection.read_request()
    connection.wait()


def _resetting(connection: Connection) -> None:
    connection.read_request()
    connection.reset()


def _then_silent(connection: Connection) -> None:
    connection.read_request()
    connection.send(b"HTTP/1.1 200 OK\r\n\r\n")
    connection.wait()


def _proxy(
    name: str,
    script: Script | str,
    plain: Expected | None,
    secure: Expected | None,
    scheme: str = "http",
    **settings: object,
) -> list[Fault]:
    """Return the values of a call over plain HTTP, where a proxy's reply counts as the bridge's, and over TLS."""
    return [
        Fault(f"a {_KINDS[scheme]} {name}", _behind(script, tls, scheme), expected, secure=(tls,), **settings)  # type: ignore[arg-type]
        for tls, expected in ((False, plain), (True, secure))
        if expected is not None
    ]


_KINDS = {"http": "proxy", "https": "proxy with TLS", "socks5": "SOCKS proxy"}


def _through(scheme: str, what: str, script: Script, expected: Expected) -> list[Fault]:
    """Go by way of a good proxy to a bridge that does this."""

    @contextmanager
    def place(moment: Moment) -> Iterator[Scene]:
        good = socks_relay if scheme == "socks5" else relay
        with _proxied(good, moment.tls, scheme), bridge(moment, script) as scene:
            yield scene

    return [Fault(f"a {_KINDS[scheme]}, and a bridge {what}", place, expected)]


def _socks(
    name: str, expected: Expected, *replies: bytes, end: Script | None = None, **settings: object
) -> list[Fault]:
    """Answer each message of a client with the next reply, and then close, or do something else."""

    def script(connection: Connection) -> None:
        for reply in replies:
            connection.sock.recv(1 << 16)
            connection.send(reply)
        connection.sock.recv(1 << 16)
        if end is not None:
            end(connection)

    return _proxy(name, script, expected, expected, "socks5", **settings)


_READ = Timeout(connect=0.1, read=0.15, write=0.15, pool=20, transfer=0.15, channel=20)
_PROXY_READ = Timeout(connect=0.5, read=0.15, write=0.15, pool=20, transfer=0.15, channel=20)  # it shakes hands first

PROXIES = [
    *_proxy("that is not there", "http://127.0.0.1:1", REFUSED, REFUSED),
    *_proxy("without an address", "http://nowhere.invalid:3128", UNREACHABLE, UNREACHABLE),
    *_proxy("that is none", "gopher://127.0.0.1:1", UNREACHABLE, UNREACHABLE),
    *_proxy("that asks for a login", _saying(reply_bytes(407, HTML)), Refused(407, HTML), UNREACHABLE),
    *_proxy("that cannot", _saying(reply_bytes(502, HTML)), Refused(502, HTML), UNREACHABLE),
    *_proxy("that resets", _resetting, Fails(ConnectionResetError), UNREACHABLE),
    *_proxy("that closes", _saying(b""), Fails(RemoteDisconnected), UNREACHABLE),
    *_proxy("that is no proxy", _saying(b"220 mail\r\n\r\n"), Fails(BadStatusLine), UNREACHABLE),
    *_proxy("that stalls", _stalling, Fails(TimeoutError), LATE, timeout=_READ, stalls=True),
    *_proxy("whose tunnel leads nowhere", _then_silent, None, LATE, timeout=SHORT, stalls=True),
    *_proxy("that is not there", "https://127.0.0.1:1", REFUSED, REFUSED, "https"),
    *_proxy("that asks for a login", _saying(reply_bytes(407, HTML)), Refused(407, HTML), UNREACHABLE, "https"),
    *_proxy("that cannot", _saying(reply_bytes(502, HTML)), Refused(502, HTML), UNREACHABLE, "https"),
    *_proxy("that closes", _saying(b""), Fails(RemoteDisconnected), UNREACHABLE, "https"),
    *_proxy("that is no proxy", _saying(b"220 mail\r\n\r\n"), Fails(BadStatusLine), UNREACHABLE, "https"),
    *_proxy("that stalls", _stalling, Fails(TimeoutError), LATE, "https", timeout=_PROXY_READ, stalls=True),
    *_proxy("whose tunnel leads nowhere", _then_silent, None, LATE, "https", timeout=_PROXY_READ, stalls=True),
    *_proxy("that is not there", "socks5://127.0.0.1:1", REFUSED, REFUSED, "socks5"),
    *_proxy("without an address", "socks5://nowhere.invalid:1080", UNREACHABLE, UNREACHABLE, "socks5"),
    *_socks("that closes", UNREACHABLE),
    *_socks("that resets", UNREACHABLE, end=Connection.reset),
    *_socks("that is no proxy", UNREACHABLE, b"220 mail\r\n"),
    *_socks("that takes no login", UNREACHABLE, b"\x05\xff"),
    *_socks("that asks for a login", UNREACHABLE, b"\x05\x02"),
    *_socks("that cannot", UNREACHABLE, b"\x05\x00", b"\x05\x05\x00\x01" + bytes(6)),
    *_socks("that closes later", UNREACHABLE, b"\x05\x00"),
    *_socks("that is cut", UNREACHABLE, b"\x05\x00", b"\x05\x00\x00"),
    *_socks("that stalls", LATE, end=Connection.wait, timeout=SHORT, stalls=True),
    *_socks("that stalls later", LATE, b"\x05\x00", end=Connection.wait, timeout=SHORT, stalls=True),
]

TUNNELS = [
    each
    for scheme in ("http", "https", "socks5")
    for each in (
        *_through(scheme, "that answers", _saying(FINE), Gives(REFUSAL)),
        *_through(scheme, "that closes", _saying(b""), Fails(RemoteDisconnected)),
        *_through(scheme, "that is no bridge", _saying(b"220 mail\r\n\r\n"), Fails(BadStatusLine)),
    )
]


def _elsewhere(name: str, location: str, status: int = 302, expected: Expected | None = None) -> Fault:
    data = reply_bytes(status, HTML, Location=location)
    return Fault(f"redirected {name}", lambda moment: bridge(moment, _saying(data)), expected or Refused(status, HTML))


REDIRECTS = [
    *(_elsewhere(f"to itself with {status}", "/again", status) for status in (301, 302, 303, 307, 308)),
    _elsewhere("to another host", "http://nowhere.invalid/"),
    _elsewhere("to another host without a scheme", "//nowhere.invalid/"),
    _elsewhere("to another port", "http://127.0.0.1:1/"),
    _elsewhere("with a login", "http://a:b@127.0.0.1/"),
    _elsewhere("to a file", "file:///etc/passwd"),
    _elsewhere("to what is no URL", "http://["),
    _elsewhere("to nothing", ""),
    _elsewhere("to other letters", "/%zz/\u00e9".encode().decode("latin-1")),
    _elsewhere("with 300", "/again", 300, Gives(HTML.decode())),
    Fault(
        "a redirect without a location",
        lambda moment: bridge(moment, _saying(reply_bytes(302, HTML))),
        Refused(302, HTML),
    ),
]

ROADS = [*NO_CONNECTION, *TLS, *PROXIES, *TUNNELS, *REDIRECTS]
