"""One exchange with the bridge: early replies, proxies, TLS, logs, and every exception of the libraries underneath."""

from __future__ import annotations

import base64
import gzip
import hashlib
import logging
import os
import re
import socket
import ssl
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError
from contextlib import ExitStack, contextmanager, suppress
from http.client import BadStatusLine, HTTPException, IncompleteRead, RemoteDisconnected
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError

import httpcore
import httpx
import pytest
import respx

from pymdc import Client, Timeout, config
from pymdc.api import ECDSA, REST, Bucket, Buckets, Files, Keys, Users
from pymdc.core import backend, calls, wire
from pymdc.core.job import Job
from tests.hostile import (
    HOST,
    Connection,
    Received,
    Script,
    Server,
    answering,
    authority_pem,
    client_context,
    refusing_port,
    relay,
    reply_bytes,
    server_context,
)

pytestmark = pytest.mark.usefixtures("_no_waiting")

PAIR = ECDSA()
PATIENT = Timeout(connect=20, read=20, write=30, pool=20, transfer=20)
REFUSAL = {"error": "Invalid token"}

fine = answering(lambda request: reply_bytes(200, '{"fine": true}'))
FINE = {"fine": True}


def client_of(server: Server, timeout: Timeout = PATIENT) -> Client:
    return Client(server.url, timeout=timeout, verify=client_context())


def upload(client: Client, path: Path) -> Any:
    return Files("id", PAIR, client=client).upload(path, "token")


@pytest.fixture
def large(tmp_path: Path) -> Path:
    """A file larger than the buffers of sockets. It is sparse, so it takes no room on the disk."""
    path = tmp_path / "large"
    path.touch()
    os.truncate(path, 200_000_000)
    return path


# A reply that comes while the request is still being sent


def refuse_and_stop_reading(connection: Connection) -> None:
    connection.read_head()
    connection.sock.recv(1 << 16)
    connection.reply(401, '{"error": "Invalid token"}')
    connection.wait()


@pytest.mark.parametrize("secure", [False, True], ids=["HTTP", "TLS"])
@pytest.mark.parametrize("by_proxy", [False, True], ids=["direct", "through a proxy"])
def test_a_refusal_in_the_middle_of_an_upload_is_returned_at_once(
    large: Path, secure: bool, by_proxy: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Though the server stops reading and keeps the connection open; not after the write timeout of 30 s."""
    versions: list[str | None] = []

    def script(connection: Connection) -> None:
        if isinstance(connection.sock, ssl.SSLSocket):
            versions.append(connection.sock.version())
        refuse_and_stop_reading(connection)

    with ExitStack() as stack:
        server = stack.enter_context(Server(script, context=server_context() if secure else None))
        if by_proxy:
            proxy = stack.enter_context(Server(relay))
            monkeypatch.setenv("HTTPS_PROXY" if secure else "HTTP_PROXY", proxy.url)
        client = stack.enter_context(client_of(server))
        start = time.monotonic()
        value = upload(client, large)
        elapsed = time.monotonic() - start
        if by_proxy:
            assert proxy.requests[0].method == ("CONNECT" if secure else "PUT")
    assert value == REFUSAL
    assert elapsed < 2
    assert versions == (["TLSv1.3"] if secure else [])


@pytest.mark.parametrize("secure", [False, True], ids=["HTTP", "TLS"])
def test_a_refusal_before_the_connection_is_closed_is_returned(large: Path, secure: bool) -> None:
    """The close of a connection with unread data is a reset, which must not hide the reply before it."""

    def script(connection: Connection) -> None:
        connection.read_head()
        connection.reply(401, '{"error": "Invalid token"}', Connection="close")

    with Server(script, context=server_context() if secure else None) as server, client_of(server) as client:
        for _ in range(5):
            assert upload(client, large) == REFUSAL


def test_a_refusal_that_comes_in_pieces_is_read_to_its_end(large: Path) -> None:
    def script(connection: Connection) -> None:
        connection.read_head()
        for byte in reply_bytes(401, '{"error": "Invalid token"}'):
            connection.send(bytes([byte]))
        connection.wait()

    with Server(script) as server, client_of(server) as client:
        assert upload(client, large) == REFUSAL


def test_after_an_early_refusal_the_next_call_has_a_connection_of_its_own(large: Path) -> None:
    with Server(refuse_and_stop_reading, fine) as server, client_of(server) as client:
        assert upload(client, large) == REFUSAL
        assert REST("GET", "/a", client=client) == FINE
        assert server.connections == 2


@pytest.mark.parametrize("interim", [b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 102 Wait\r\nx: y\r\n\r\n" * 2])
def test_an_interim_reply_does_not_end_an_upload(tmp_path: Path, interim: bytes) -> None:
    """RFC 9110, 15.2: a client must be able to read one or more of them, even if it did not ask."""
    path = tmp_path / "file"
    path.write_bytes(bytes(20_000_000))

    def script(connection: Connection) -> None:
        head = connection.read_head()
        assert head is not None
        connection.send(interim)
        missing = int(head.headers["content-length"]) - len(connection.buffer)
        while missing:
            data = connection.sock.recv(1 << 18)
            if not data:
                return
            missing -= len(data)
        connection.reply(200, '{"fine": true}')

    with Server(script) as server, client_of(server) as client:
        assert upload(client, path) == FINE


def test_a_close_after_an_interim_reply_is_a_remote_disconnected(large: Path) -> None:
    def script(connection: Connection) -> None:
        connection.read_head()
        connection.send(b"HTTP/1.1 100 Continue\r\n\r\n")
        connection.sock.shutdown(socket.SHUT_WR)
        while connection.sock.recv(1 << 18):
            pass

    with Server(script) as server, client_of(server) as client:
        assert isinstance(upload(client, large), RemoteDisconnected)


@pytest.mark.parametrize("secure", [False, True], ids=["HTTP", "TLS"])
def test_an_upload_arrives_whole(tmp_path: Path, secure: bool) -> None:
    """Over TLS 1.3 session tickets arrive meanwhile, and are no reply."""
    path = tmp_path / "file"
    path.write_bytes(os.urandom(8_000_000))
    context = server_context() if secure else None
    with Server(fine, context=context) as server, client_of(server) as client:
        assert upload(client, path) == FINE
        assert upload(client, path) == FINE
        assert server.connections == 1
    for request in server.requests:
        assert len(request.body) == int(request.headers["content-length"])
        assert path.read_bytes() in request.body


@pytest.mark.parametrize("secure", [False, True], ids=["HTTP", "TLS"])
def test_a_reset_in_the_middle_of_an_upload_is_its_value(large: Path, secure: bool) -> None:
    """In a write or in a read, and with each error of OpenSSL."""

    def script(connection: Connection) -> None:
        connection.read_head()
        connection.sock.recv(1 << 16)
        connection.reset()

    with Server(script, context=server_context() if secure else None) as server, client_of(server) as client:
        values = [upload(client, large) for _ in range(10)]
        assert server.connections == 10
    for value in values:
        assert isinstance(value, ConnectionResetError | BrokenPipeError)
        assert value.__cause__ is not None


def test_a_close_in_the_middle_of_an_upload_is_a_remote_disconnected(large: Path) -> None:
    def script(connection: Connection) -> None:
        connection.read_head()
        connection.sock.shutdown(socket.SHUT_WR)
        while connection.sock.recv(1 << 18):
            pass

    with Server(script) as server, client_of(server) as client:
        assert isinstance(upload(client, large), RemoteDisconnected)


def test_a_bridge_that_takes_no_more_bytes_is_a_timeout(large: Path) -> None:
    def script(connection: Connection) -> None:
        connection.read_head()
        connection.wait()

    limits = Timeout(connect=20, read=20, write=0.1, pool=20, transfer=20)
    with Server(script) as server, client_of(server, limits) as client:
        value = upload(client, large)
    assert type(value) is TimeoutError
    assert value.__cause__ is not None


def test_the_reply_to_an_upload_has_a_limit_of_its_own(tmp_path: Path) -> None:
    def script(connection: Connection) -> None:
        connection.read_request()
        connection.wait()

    path = tmp_path / "file"
    path.touch()
    limits = Timeout(connect=20, read=20, write=20, pool=20, transfer=0.05)
    with Server(script) as server, client_of(server, limits) as client:
        assert type(upload(client, path)) is TimeoutError


# Connections


@pytest.mark.parametrize("secure", [False, True], ids=["HTTP", "TLS"])
def test_a_connection_is_used_again(secure: bool) -> None:
    with Server(fine, context=server_context() if secure else None) as server, client_of(server) as client:
        for _ in range(5):
            assert REST("POST", "/a", client=client) == FINE
        assert server.connections == 1


def test_a_connection_that_the_bridge_closed_meanwhile_is_replaced() -> None:
    closed = threading.Event()

    def once(connection: Connection) -> None:
        connection.read_request()
        connection.reply(200, '{"fine": true}')
        connection.sock.shutdown(socket.SHUT_RDWR)
        closed.set()

    with Server(once, fine) as server, client_of(server) as client:
        assert REST("POST", "/a", client=client) == FINE
        assert closed.wait(20)
        assert REST("POST", "/a", client=client) == FINE
        assert server.connections == 2


def test_requests_say_what_they_come_from_and_ask_for_no_encoding() -> None:
    with Server(fine) as server, client_of(server) as client:
        REST("GET", "/a", client=client)
    headers = server.requests[0].headers
    assert headers["user-agent"].startswith("pymdc/")
    assert headers["accept-encoding"] == "identity"


def test_a_limit_counts_from_the_last_bytes_however_often_a_wait_looks_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """A wait looks up now and then, to see whether the call was cancelled."""
    monkeypatch.setattr(config, "POLL_SECONDS", 0.01)

    def silent(connection: Connection) -> None:
        connection.read_request()
        connection.wait()

    limits = Timeout(connect=20, read=0.1, write=20, pool=20, transfer=20)
    with Server(silent) as server, client_of(server, limits) as client:
        start = time.monotonic()
        assert type(REST("GET", "/a", client=client)) is TimeoutError
        assert 0.1 <= time.monotonic() - start < 10


def test_bytes_that_tls_has_decrypted_are_read_though_the_socket_is_silent() -> None:
    """httpcore may ask for fewer bytes than a TLS record holds."""

    def script(connection: Connection) -> None:
        connection.send(b"reply")
        connection.wait()

    opener = backend.Backend()
    with Server(script, context=server_context()) as server, backend.sending_for(Job(lambda function: None), None):
        stream = opener.connect_tcp(HOST, server.port, 20).start_tls(client_context(), HOST, 20)
        assert [stream.read(1, 20) for _ in range(5)] == [b"r", b"e", b"p", b"l", b"y"]
        stream.close()


# The body of a reply


@pytest.mark.parametrize("framing", ["length", "chunks", "close"])
def test_a_reply_that_is_too_large_is_not_read_to_its_end(framing: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(config, "MAX_REPLY_BYTES", 1000)

    def script(connection: Connection) -> None:
        connection.read_request()
        head = {"length": "content-length: 1000000", "chunks": "transfer-encoding: chunked", "close": "x: y"}[framing]
        connection.send(f"HTTP/1.1 200 OK\r\n{head}\r\n\r\n".encode())
        connection.send(b"3e9\r\n" + b"x" * 1001 + b"\r\n" if framing == "chunks" else b"x" * 1001)
        connection.wait()

    with Server(script) as server, client_of(server) as client:
        value = REST("GET", "/a", client=client)
    assert type(value) is HTTPException
    assert "1000 bytes" in str(value)


def test_a_reply_of_the_largest_size_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(config, "MAX_REPLY_BYTES", 1000)
    with Server(answering(lambda _: reply_bytes(200, "x" * 1000))) as server, client_of(server) as client:
        assert REST("GET", "/a", client=client) == "x" * 1000


def test_a_compressed_reply_is_decoded_and_its_decoded_size_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    reply = reply_bytes(200, gzip.compress(b"[" + b" " * 5000 + b"]"), Content_Encoding="gzip")
    with Server(answering(lambda _: reply)) as server, client_of(server) as client:
        assert REST("GET", "/a", client=client) == []
        monkeypatch.setattr(config, "MAX_REPLY_BYTES", 1000)
        assert type(REST("GET", "/a", client=client)) is HTTPException


def test_a_reply_that_cannot_be_decoded_is_an_http_exception() -> None:
    reply = reply_bytes(200, b"this is not gzip", Content_Encoding="gzip")
    with Server(answering(lambda _: reply)) as server, client_of(server) as client:
        value = REST("GET", "/a", client=client)
    assert type(value) is HTTPException
    assert value.__cause__ is not None


# Proxies


def test_a_proxy_of_the_environment_passes_on_plain_requests(monkeypatch: pytest.MonkeyPatch) -> None:
    with Server(fine) as server, Server(relay) as proxy, client_of(server) as client:
        monkeypatch.setenv("HTTP_PROXY", proxy.url)
        monkeypatch.setenv("HTTPS_PROXY", "http://nowhere.invalid")
        assert REST("GET", "/a", client=client) == FINE
        assert proxy.requests[0].target == server.url + server.requests[0].target


def test_a_proxy_of_the_environment_makes_a_tunnel_for_tls(monkeypatch: pytest.MonkeyPatch) -> None:
    with Server(fine, context=server_context()) as server, Server(relay) as proxy, client_of(server) as client:
        monkeypatch.setenv("HTTP_PROXY", "http://nowhere.invalid")
        monkeypatch.setenv("HTTPS_PROXY", proxy.url)
        assert REST("GET", "/a", auth=PAIR, client=client) == FINE
        (request,) = proxy.requests
        assert (request.method, request.target) == ("CONNECT", f"{HOST}:{server.port}")
        assert not {"x-pubkey", "x-signature"} & set(request.headers)


@contextmanager
def behind_a_proxy_with_tls(
    script: Script, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Iterator[tuple[Server, Client]]:
    """Give a server with TLS, and a client that reaches it through a tunnel that is within TLS itself."""
    pem = tmp_path / "authority.pem"
    pem.write_bytes(authority_pem())
    monkeypatch.setenv("SSL_CERT_FILE", str(pem))

    def tunnel(connection: Connection) -> None:
        """Relay bytes as a plain proxy does, at the other end of a second plain connection."""
        with socket.create_connection((HOST, plain.port)) as onward:
            connection.server.adopt(onward)
            back = connection.server.start(copy, onward, connection.sock)
            copy(connection.sock, onward)
            back.join()

    def copy(source: socket.socket, sink: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(1 << 16):
                sink.sendall(data)
        with suppress(OSError):
            sink.shutdown(socket.SHUT_WR)

    with (
        Server(script, context=server_context()) as server,
        Server(relay) as plain,
        Server(tunnel, context=server_context()) as proxy,
    ):
        monkeypatch.setenv("HTTPS_PROXY", proxy.url)
        with Client(server.url, timeout=PATIENT) as client:  # trusts what SSL_CERT_FILE names
            yield server, client
        assert plain.requests[0].method == "CONNECT"


def test_a_proxy_may_be_reached_over_tls(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(os.urandom(1_000_000))
    with behind_a_proxy_with_tls(fine, monkeypatch, tmp_path) as (server, client):
        assert upload(client, path) == FINE
        assert path.read_bytes() in server.requests[0].body


def test_a_refusal_comes_at_once_through_a_proxy_with_tls(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, large: Path
) -> None:
    with behind_a_proxy_with_tls(refuse_and_stop_reading, monkeypatch, tmp_path) as (_, client):
        assert upload(client, large) == REFUSAL


@pytest.mark.parametrize("end", [ssl.SSLSocket.unwrap, socket.socket.close], ids=["in good order", "at once"])
def test_a_close_behind_a_proxy_with_tls_is_a_remote_disconnected(
    end: Callable[[Any], object], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def closing_it(connection: Connection) -> None:
        connection.read_request()
        end(connection.sock)

    with behind_a_proxy_with_tls(closing_it, monkeypatch, tmp_path) as (_, client):
        assert isinstance(REST("POST", "/a", client=client), RemoteDisconnected)


def test_a_call_behind_a_proxy_with_tls_is_cancelled_within_a_second(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with behind_a_proxy_with_tls(leave_it, monkeypatch, tmp_path) as (server, client):
        handle = REST("GET", "/a", client=client, callback=lambda _: None)
        while not server.requests:
            time.sleep(0.01)
        begun = time.monotonic()
        handle.cancel()
        assert isinstance(handle.result(10), CancelledError)
        assert time.monotonic() - begun < 1


@pytest.mark.parametrize("name", ["ALL_PROXY", "all_proxy", "http_proxy"])
def test_the_other_names_of_the_proxy_count_as_well(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with Server(fine) as server, Server(relay) as proxy, client_of(server) as client:
        monkeypatch.setenv(name, proxy.url)
        assert REST("GET", "/a", client=client) == FINE
        assert len(proxy.requests) == 1


def test_a_proxy_may_be_named_without_a_scheme(monkeypatch: pytest.MonkeyPatch) -> None:
    with Server(fine) as server, Server(relay) as proxy, client_of(server) as client:
        monkeypatch.setenv("HTTP_PROXY", f"{HOST}:{proxy.port}")
        assert REST("GET", "/a", client=client) == FINE
        assert len(proxy.requests) == 1


@pytest.mark.parametrize("exempt", ["127.0.0.1", "example.com, 127.0.0.1", "*", "127.0.0.1:{port}"])
def test_a_host_in_no_proxy_is_reached_directly(exempt: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with Server(fine) as server, Server(relay) as proxy, client_of(server) as client:
        monkeypatch.setenv("HTTP_PROXY", proxy.url)
        monkeypatch.setenv("NO_PROXY", exempt.format(port=server.port))
        assert REST("GET", "/a", client=client) == FINE
        assert proxy.connections == 0


def test_the_password_of_a_proxy_goes_to_the_proxy_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    with (
        Server(fine, context=server_context()) as server,
        Server(relay) as proxy,
        client_of(server) as client,
    ):
        monkeypatch.setenv("HTTPS_PROXY", f"http://me:secret@{HOST}:{proxy.port}")
        assert REST("GET", "/a", client=client) == FINE
        login = base64.b64encode(b"me:secret").decode()
        assert proxy.requests[0].headers["proxy-authorization"] == f"Basic {login}"
        assert login not in str(server.requests[0])


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_proxy_that_refuses_connections_is_a_url_error(scheme: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with refusing_port() as port, Client(f"{scheme}://bridge.invalid", verify=client_context()) as client:
        monkeypatch.setenv(f"{scheme}_proxy", f"http://{HOST}:{port}")
        value = REST("POST", "/a", client=client)
    assert type(value) is URLError
    assert isinstance(value.reason, ConnectionRefusedError)


@pytest.mark.parametrize("status", [403, 407, 502])
def test_a_proxy_that_makes_no_tunnel_is_a_url_error(status: int, monkeypatch: pytest.MonkeyPatch) -> None:
    refuse = answering(lambda _: reply_bytes(status, "<html>No</html>"))
    with Server(refuse) as proxy, Client("https://bridge.invalid", verify=client_context()) as client:
        monkeypatch.setenv("HTTPS_PROXY", proxy.url)
        value = REST("POST", "/a", client=client)
    assert type(value) is URLError
    assert str(status) in str(value)
    assert value.__cause__ is not None


def close_it(connection: Connection) -> None:
    connection.read_request()


def reset_it(connection: Connection) -> None:
    connection.read_request()
    connection.reset()


def garble_it(connection: Connection) -> None:
    connection.read_request()
    connection.send(b"no proxy at all\r\n\r\n")


def leave_it(connection: Connection) -> None:
    connection.read_request()
    connection.wait()


@pytest.mark.parametrize("script", [close_it, reset_it, garble_it, leave_it])
def test_a_proxy_that_fails_while_it_makes_a_tunnel_is_a_url_error(
    script: Script, monkeypatch: pytest.MonkeyPatch
) -> None:
    timeout = Timeout(connect=0.3, read=0.3)
    with Server(script) as proxy, Client("https://bridge.invalid", timeout=timeout) as client:
        monkeypatch.setenv("HTTPS_PROXY", proxy.url)
        value = REST("POST", "/a", client=client)
    assert type(value) is URLError
    assert value.__cause__ is not None


def test_a_defect_while_a_tunnel_is_made_is_the_exception_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    with Server(leave_it) as proxy, Client("https://bridge.invalid", timeout=30) as client:
        monkeypatch.setenv("HTTPS_PROXY", proxy.url)
        handle = REST("POST", "/a", client=client, callback=lambda _: None)
        while not proxy.requests:
            time.sleep(0.01)
        handle.cancel()
        assert isinstance(handle.result(10), CancelledError)


def test_a_socks_proxy_without_its_package_is_a_url_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "socksio", None)
    monkeypatch.setenv("ALL_PROXY", "socks5://127.0.0.1:1")
    with Client("http://bridge.invalid") as client:
        value = REST("GET", "/a", client=client)
    assert type(value) is URLError
    assert "socksio" in str(value)


@pytest.mark.parametrize(
    "proxy",
    ["ftp://me:secret@127.0.0.1", "http://me:sec/ret@127.0.0.1", "http://me:secret@h:x", "://secret"],
)
def test_a_malformed_proxy_is_a_url_error_without_its_password(proxy: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", proxy)
    with Client("http://bridge.invalid") as client:
        value = REST("GET", "/a", client=client)
    assert type(value) is URLError
    assert "proxy" in str(value)
    for word in ("secret", "sec", "ret@"):
        assert word not in f"{value} {value.__cause__} {value.__context__}"


# What is logged


SECRETS = {
    "activation token": "5ecre7ac7iva7ion",
    "token": "5ecre7x70ken",
    "password": "5ecre7pa55w0rd",
    "password hash": hashlib.sha256(b"5ecre7pa55w0rd").hexdigest(),
    "proxy password": "5ecre7pr0xy",
    "private key": PAIR.get_private_key(),
}


def encoded(secret: str) -> Iterator[str]:
    yield secret
    for head in ("", "a", "aa"):  # wherever it stands in a text that is encoded
        yield base64.b64encode((head + secret + "aaa").encode()).decode()[4:-8]


@pytest.fixture
def logged() -> Iterator[list[logging.LogRecord]]:
    """Everything that any logger logs, at every level."""
    records: list[logging.LogRecord] = []

    class Collector(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            records.append(record)

    collector = Collector(logging.NOTSET)
    root = logging.getLogger()
    loggers = [root, *(logging.getLogger(name) for name in ("httpx", "httpcore", "pymdc"))]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.DEBUG)
    root.addHandler(collector)
    yield records
    root.removeHandler(collector)
    for logger, level in zip(loggers, levels, strict=True):
        logger.setLevel(level)


def moves_activations(request: Received) -> bytes:
    if request.path.startswith("/activations/"):
        return reply_bytes(302, Location=request.path.replace("activations", "activated"))
    return reply_bytes(200, "{}", Set_Cookie="session=" + SECRETS["token"])


@pytest.mark.parametrize("script", [answering(moves_activations), lambda _: None], ids=["answered", "closed"])
@pytest.mark.parametrize("secure", [False, True], ids=["forwarded", "tunnelled"])
def test_nothing_secret_is_logged(
    logged: list[logging.LogRecord], script: Script, secure: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    context = server_context() if secure else None
    with Server(script, context=context) as server, Server(relay) as proxy, client_of(server) as client:
        monkeypatch.setenv("ALL_PROXY", f"http://me:{SECRETS['proxy password']}@{HOST}:{proxy.port}")
        user = Users("alice@example.com", SECRETS["password"], client=client)
        values = [
            user.register(),
            user.activate(SECRETS["activation token"]),
            Keys(user, client=client).list(),
            Buckets(PAIR, client=client).list(),
            Bucket("id", PAIR, client=client).patch({"name": "b"}),
            Files("id", PAIR, client=client).upload(__file__, SECRETS["token"]),
            Files("id", PAIR, client=client).download("ff", SECRETS["token"]),
        ]
        assert proxy.connections > 0
    texts = [f"{record.getMessage()} {record.args} {record.exc_text}" for record in logged]
    texts += [repr(client), repr(user), repr(PAIR), repr(values)]
    texts += [text for value in values if isinstance(value, BaseException) for text in told_by(value)]
    assert_without_secrets(texts)


def told_by(value: BaseException) -> Iterator[str]:
    """Return every text of an error value, of its causes and of the objects that they refer to."""
    yield "".join(traceback.format_exception(value))
    error: BaseException | None = value
    while error is not None:
        for name in dir(error):
            if not name.startswith("__"):
                with suppress(Exception):
                    found = getattr(error, name)
                    yield f"{found!r} {found}"
                    yield repr(getattr(found, "headers", None))
        error = error.__cause__ or error.__context__


def assert_without_secrets(texts: list[str]) -> None:
    for name, secret in SECRETS.items():
        for form in encoded(secret):
            assert [text for text in texts if form in text] == [], name


FAILURES: dict[str, Script] = {
    "no JSON": answering(lambda request: reply_bytes(500, "<html>")),
    "moved": answering(lambda request: reply_bytes(302, Location="http://elsewhere.invalid/")),
    "reset": reset_it,
    "silence": leave_it,
    "garbage": answering(lambda request: b"garbage\r\n\r\n"),
    "cut short": answering(lambda request: reply_bytes(200, "{", Content_Length="9", Connection="close") + b"\r\n"),
    "an encoding": answering(lambda request: reply_bytes(200, "{", Content_Encoding="br")),
}


@pytest.mark.parametrize("mock", [False, True], ids=["a server", "a mock of httpx"])
@pytest.mark.parametrize("script", FAILURES.values(), ids=FAILURES)
def test_nothing_secret_is_in_an_error_value(logged: list[logging.LogRecord], script: Script, mock: bool) -> None:
    limits = Timeout(connect=20, read=0.3, write=20, pool=20, transfer=0.3)
    with ExitStack() as stack:
        server = stack.enter_context(Server(script))
        client = stack.enter_context(client_of(server, limits))
        if mock:
            router = stack.enter_context(respx.mock(using="httpx"))
            router.route().mock(side_effect=httpx.ReadError("words"))
        user = Users("alice@example.com", SECRETS["password"], client=client)
        values = [
            user.register(),
            user.activate(SECRETS["activation token"]),
            Keys(user, client=client).list(),
            Buckets(PAIR, client=client).list(),
            Files("id", PAIR, client=client).upload(b"content", SECRETS["token"]),
            Files("id", PAIR, client=client).pointers("f" * 40, SECRETS["token"]),
        ]
    texts = [f"{record.getMessage()} {record.args} {record.exc_text}" for record in logged]
    for value in values:
        assert isinstance(value, Exception)
        texts += told_by(value)
    assert_without_secrets(texts)


def test_nothing_secret_is_in_the_repr_of_a_request_or_a_reply() -> None:
    user = Users("alice@example.com", SECRETS["password"])
    activation = "/activations/" + SECRETS["activation token"]
    call = calls.describe(
        "POST", activation, {"password": SECRETS["password hash"]}, user, {"x-token": SECRETS["token"]}
    )
    query = calls.describe("GET", activation + "?a=" + SECRETS["token"], {"password": SECRETS["password hash"]}, user)
    made = [call, query, wire.prepare(call, "", 5), wire.prepare(query, "/base", 5)]
    reply = wire.Reply(f"http://h{activation}?x={SECRETS['token']}", 404, "No", [("x", SECRETS["token"])], b"<html>")
    failed = wire.decode(reply)
    assert_without_secrets([repr(each) for each in [*made, reply, failed]] + [failed.url, failed.filename, str(failed)])
    assert repr(query) == "<Call GET /activations/...>"
    assert failed.url == "http://h/activations/..."


def test_the_log_of_other_users_of_httpx_is_left_alone(logged: list[logging.LogRecord]) -> None:
    with Server(fine) as server, client_of(server) as client, httpx.Client() as other:
        REST("GET", "/ours", client=client)
        other.get(server.url + "/theirs")
        other.get(server.url + "/theirs", headers={"x": "y"})
    ours = [record.getMessage() for record in logged if record.name == "httpx"]
    assert len(ours) == 2
    assert all("/theirs" in message for message in ours)
    assert any(record.name == "httpcore.http11" for record in logged)


# Every exception class of the libraries underneath

SAME = None  # the exception itself is the value

HTTPX: dict[type[Exception], tuple[type[Exception] | None, type[Exception] | None]] = {
    # class: (value before the body of a reply, value in the body)
    httpx.HTTPError: (SAME, SAME),
    httpx.RequestError: (SAME, SAME),
    httpx.TransportError: (SAME, SAME),
    httpx.TimeoutException: (TimeoutError, TimeoutError),
    httpx.ConnectTimeout: (URLError, TimeoutError),
    httpx.ReadTimeout: (TimeoutError, TimeoutError),
    httpx.WriteTimeout: (TimeoutError, TimeoutError),
    httpx.PoolTimeout: (TimeoutError, TimeoutError),
    httpx.NetworkError: (ConnectionError, ConnectionError),
    httpx.ConnectError: (URLError, ConnectionError),
    httpx.ReadError: (ConnectionError, ConnectionError),
    httpx.WriteError: (ConnectionError, ConnectionError),
    httpx.CloseError: (ConnectionError, ConnectionError),
    httpx.ProtocolError: (SAME, SAME),
    httpx.LocalProtocolError: (SAME, SAME),  # a defect of ours
    httpx.RemoteProtocolError: (BadStatusLine, IncompleteRead),
    httpx.ProxyError: (URLError, SAME),
    httpx.UnsupportedProtocol: (URLError, SAME),
    httpx.DecodingError: (SAME, SAME),
    httpx.TooManyRedirects: (SAME, SAME),  # httpx follows none
    httpx.HTTPStatusError: (SAME, SAME),  # raise_for_status() is not called
    httpx.InvalidURL: (URLError, SAME),
    httpx.CookieConflict: (SAME, SAME),  # no cookies
    httpx.StreamError: (SAME, SAME),
    httpx.StreamConsumed: (SAME, SAME),
    httpx.StreamClosed: (SAME, SAME),  # the client was closed meanwhile
    httpx.ResponseNotRead: (SAME, SAME),
    httpx.RequestNotRead: (SAME, SAME),
}

HTTPCORE: dict[type[Exception], type[Exception] | None] = {
    httpcore.TimeoutException: TimeoutError,
    httpcore.ConnectTimeout: URLError,
    httpcore.ReadTimeout: TimeoutError,
    httpcore.WriteTimeout: TimeoutError,
    httpcore.PoolTimeout: TimeoutError,
    httpcore.NetworkError: ConnectionError,
    httpcore.ConnectError: URLError,
    httpcore.ReadError: ConnectionError,
    httpcore.WriteError: ConnectionError,
    httpcore.ProtocolError: SAME,
    httpcore.LocalProtocolError: SAME,
    httpcore.RemoteProtocolError: BadStatusLine,
    httpcore.ProxyError: URLError,
    httpcore.UnsupportedProtocol: URLError,
    httpcore.ConnectionNotAvailable: SAME,  # between httpcore and itself
}


def classes_of(library: str) -> set[type[Exception]]:
    found: set[type[Exception]] = set()
    waiting: list[type[Exception]] = [Exception]
    while waiting:
        kinds = waiting.pop().__subclasses__()
        waiting += kinds
        found |= {kind for kind in kinds if kind.__module__.partition(".")[0] == library}
    return found


def made(kind: type[Exception]) -> Exception:
    if kind is httpx.HTTPStatusError:
        request = httpx.Request("GET", "http://bridge.invalid")
        return httpx.HTTPStatusError("words", request=request, response=httpx.Response(500, request=request))
    if kind in (httpx.StreamConsumed, httpx.StreamClosed, httpx.ResponseNotRead, httpx.RequestNotRead):
        return kind()
    return kind("words")


def check(value: Any, raised: Exception, expected: type[Exception] | None) -> None:
    if expected is SAME:
        assert value is raised or type(value).__name__ == type(raised).__name__
    else:
        assert type(value) is expected
        assert type(value.__cause__) is type(raised)


def test_every_exception_class_of_httpx_and_httpcore_is_in_the_tables() -> None:
    assert set(HTTPX) == classes_of("httpx")
    assert set(HTTPCORE) == classes_of("httpcore")


@pytest.mark.parametrize("kind", HTTPX, ids=lambda kind: kind.__name__)
def test_each_exception_of_httpx_has_its_value_before_a_reply(kind: type[Exception]) -> None:
    error = made(kind)
    with respx.mock(using="httpx") as router, Client("http://bridge.invalid") as client:
        router.route().mock(side_effect=error)
        check(REST("POST", "/a", client=client), error, HTTPX[kind][0])


@pytest.mark.parametrize("kind", HTTPX, ids=lambda kind: kind.__name__)
def test_each_exception_of_httpx_has_its_value_in_a_reply(kind: type[Exception]) -> None:
    error = made(kind)

    class Failing(httpx.SyncByteStream):
        def __iter__(self) -> Iterator[bytes]:
            yield b"{"
            raise error

    with respx.mock(using="httpx") as router, Client("http://bridge.invalid") as client:
        router.route().mock(side_effect=lambda request: httpx.Response(200, stream=Failing()))
        check(REST("POST", "/a", client=client), error, HTTPX[kind][1])


@pytest.mark.parametrize("kind", HTTPCORE, ids=lambda kind: kind.__name__)
def test_each_exception_of_httpcore_has_its_value(kind: type[Exception]) -> None:
    error = made(kind)
    with respx.mock(using="httpcore") as router, Client("http://bridge.invalid") as client:
        router.route().mock(side_effect=error)
        check(REST("POST", "/a", client=client), error, HTTPCORE[kind])


@pytest.mark.parametrize("host", ["a" * 64, ".", "ä" * 64, "xn--a", "a..b", "-"])
def test_a_wrong_host_name_is_a_url_error(host: str) -> None:
    with Client(f"http://{host}") as client:
        assert type(REST("GET", "/a", client=client)) is URLError


@pytest.mark.parametrize(
    ("under", "expected"),
    [
        (ssl.SSLEOFError(8, "EOF occurred in violation of protocol"), ConnectionResetError),
        (BrokenPipeError(32, "Broken pipe"), BrokenPipeError),
        (ConnectionAbortedError(103, "Aborted"), ConnectionAbortedError),
        (OSError(113, "No route to host"), OSError),
    ],
)
def test_an_error_that_ends_a_connection_is_the_error_of_the_system(under: OSError, expected: type[OSError]) -> None:
    class Failing(httpx.SyncByteStream):
        def __iter__(self) -> Iterator[bytes]:
            yield b"{"
            raise httpx.ReadError("words") from under

    with respx.mock(using="httpx") as router, Client("http://bridge.invalid") as client:
        router.route().mock(side_effect=lambda request: httpx.Response(200, stream=Failing()))
        value = REST("POST", "/a", client=client)
    assert type(value) is expected
    assert value.errno is not None
    assert isinstance(value.__cause__, httpx.ReadError)


def test_an_unknown_exception_is_its_own_value() -> None:
    error = ZeroDivisionError("a defect")
    with respx.mock(using="httpx") as router, Client("http://bridge.invalid") as client:
        router.route().mock(side_effect=error)
        assert REST("POST", "/a", client=client) is error


def test_a_reply_by_http_1_0_without_a_length_ends_with_the_connection() -> None:
    def script(connection: Connection) -> None:
        connection.read_request()
        connection.send(b"HTTP/1.0 404 Not Found\r\nContent-Type: text/html\r\n\r\n<html>")

    with Server(script) as server, client_of(server) as client:
        value = REST("GET", "/a", client=client)
    assert isinstance(value, HTTPError)
    assert re.search("404", str(value))
    assert value.read() == b"<html>"
