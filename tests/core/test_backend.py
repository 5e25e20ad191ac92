"""A bridge, or an attacker in its place, that misuses the connections of a client: over plain TCP and over TLS."""

from __future__ import annotations

import json
import os
import signal
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError
from contextlib import ExitStack, contextmanager
from http.client import BadStatusLine, IncompleteRead, RemoteDisconnected
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.parse import urlsplit

import httpcore
import pytest
import respx

from pymdc import Client, Timeout, config
from pymdc.api import ECDSA, REST, Files
from pymdc.core.backend import Backend, sending_for
from pymdc.core.job import Job
from pymdc.core.transport import Transport
from pymdc.core.wire import Reply, Request
from tests.hostile import (
    HOST,
    Connection,
    Script,
    Server,
    answering,
    client_context,
    full_backlog,
    relay,
    reply_bytes,
    server_context,
    socks_relay,
)

pytestmark = pytest.mark.usefixtures("_no_waiting")

PAIR = ECDSA()
PATIENT = Timeout(connect=20, read=20, write=20, pool=20, transfer=20)
FINE: Any = {"fine": True}

fine = answering(lambda request: reply_bytes(200, '{"fine": true}'))
both = pytest.mark.parametrize("secure", [False, True], ids=["HTTP", "TLS"])


@contextmanager
def serving(*scripts: Script, secure: bool = False, timeout: Timeout = PATIENT) -> Iterator[tuple[Server, Client]]:
    with (
        Server(*scripts, context=server_context() if secure else None) as server,
        Client(server.url, timeout=timeout, verify=client_context()) as client,
    ):
        yield server, client


# Cancelling


def ignoring(_value: object) -> None:
    pass


def stalled(before: bytes) -> Script:
    def script(connection: Connection) -> None:
        connection.read_request()
        connection.send(before)
        connection.wait()

    return script


def half_a_record(connection: Connection) -> None:
    """Reply over TLS, but hold back the second half of the record that the reply is in."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = server_context().wrap_bio(incoming, outgoing, server_side=True)

    def until_done(step: Callable[[], Any]) -> Any:
        while True:
            try:
                return step()
            except ssl.SSLWantReadError:  # noqa: PERF203
                connection.send(outgoing.read())
                incoming.write(connection.sock.recv(1 << 16))

    until_done(tls.do_handshake)
    until_done(lambda: tls.read(1 << 16))
    connection.send(outgoing.read())  # the session tickets
    tls.write(reply_bytes(200, "[]" + " " * 5000))
    record = outgoing.read()
    connection.send(record[: len(record) // 2])
    connection.wait()


def get(client: Client) -> Any:
    return REST("GET", "/a", client=client, callback=ignoring)


def upload(client: Client) -> Any:
    return Files("id", PAIR, client=client).upload(bytes(50_000_000), "token", callback=ignoring)


def assert_cancelled_at_once(handle: Any) -> None:
    time.sleep(0.1)  # at this stage nothing happens
    begun = time.monotonic()
    assert handle.cancel()
    assert isinstance(handle.result(10), CancelledError)
    assert time.monotonic() - begun < 1


@both
@pytest.mark.parametrize(
    "before",
    [b"", b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 200 OK\r\ncont", reply_bytes(200, "[", Content_Length="99")],
    ids=["before a reply", "after an interim reply", "in the head", "in the body"],
)
def test_a_stalled_call_is_cancelled_within_a_second(before: bytes, secure: bool) -> None:
    """Under TLS 1.3 session tickets make the socket readable, though there is nothing to read."""
    with serving(stalled(before), secure=secure) as (server, client):
        handle = get(client)
        while not server.requests:
            time.sleep(0.01)
        assert_cancelled_at_once(handle)


def test_a_call_is_cancelled_within_a_second_in_the_middle_of_a_record_of_tls() -> None:
    with Server(half_a_record) as server, Client(f"https://{HOST}:{server.port}", verify=client_context()) as client:
        assert_cancelled_at_once(get(client))


def test_a_call_is_cancelled_within_a_second_while_it_connects() -> None:
    with full_backlog() as port, Client(f"http://{HOST}:{port}", timeout=20) as client:
        assert_cancelled_at_once(get(client))


def test_a_call_is_cancelled_within_a_second_while_it_shakes_hands() -> None:
    with Server(Connection.wait) as server, Client(f"https://{HOST}:{server.port}", timeout=20) as client:
        assert_cancelled_at_once(get(client))


def test_a_call_is_cancelled_within_a_second_while_a_name_is_looked_up(monkeypatch: pytest.MonkeyPatch) -> None:
    real, answered = socket.getaddrinfo, threading.Event()

    def slow(*args: Any, **more: Any) -> Any:
        if not more.get("flags"):
            answered.wait(20)
        return real(*args, **more)

    monkeypatch.setattr(socket, "getaddrinfo", slow)
    with Client("http://bridge.example", timeout=20) as client:
        assert_cancelled_at_once(get(client))
    answered.set()


@both
def test_an_upload_is_cancelled_within_a_second_while_the_bridge_reads_nothing(secure: bool) -> None:
    def script(connection: Connection) -> None:
        connection.read_head()
        connection.wait()

    with serving(script, secure=secure) as (server, client):
        handle = upload(client)
        while not server.requests:
            time.sleep(0.01)
        assert_cancelled_at_once(handle)


def test_a_call_is_cancelled_within_a_second_between_two_attempts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(config, "BACKOFF_SECONDS", 60.0)

    def reset(connection: Connection) -> None:
        connection.read_request()
        connection.reset()

    with serving(reset) as (server, client):
        handle = get(client)
        while not server.requests:
            time.sleep(0.01)
        assert_cancelled_at_once(handle)


def test_a_connection_that_takes_too_long_is_a_url_error_that_names_the_host() -> None:
    with full_backlog() as port, Client(f"http://{HOST}:{port}", timeout=Timeout(connect=0.1)) as client:
        value = REST("GET", "/a", client=client)
    assert type(value) is URLError
    assert type(value.reason) is TimeoutError
    assert f"{HOST}:{port}" in str(value)


# A limit for the whole


@both
def test_a_slow_drip_ends_at_the_limit_for_the_whole_call(secure: bool) -> None:
    def dripping(connection: Connection) -> None:
        connection.read_request()
        connection.send(b"HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\n")
        while not connection.server.closing.wait(0.05):
            connection.send(b" ")

    with serving(dripping, secure=secure, timeout=Timeout(total=0.5)) as (_, client):
        begun = time.monotonic()
        value = REST("GET", "/a", client=client)
        assert type(value) is TimeoutError
        assert 0.4 < time.monotonic() - begun < 2


def test_the_limit_for_the_whole_call_ends_a_transfer() -> None:
    def silent(connection: Connection) -> None:
        connection.read_head()
        connection.wait()

    with serving(silent, timeout=Timeout(total=0.3)) as (_, client):
        begun = time.monotonic()
        assert type(Files("id", PAIR, client=client).upload(bytes(50_000_000))) is TimeoutError
        assert time.monotonic() - begun < 2


# More than the reply

REPLY = reply_bytes(200, '{"fine": true}')
SURPLUS = {
    "a newline": REPLY + b"\n",
    "another reply": REPLY + reply_bytes(200, '{"mine": true}'),
    "after chunks": reply_bytes(200, "e\r\n" + '{"fine": true}' + "\r\n0\r\n\r\n", Transfer_Encoding="chunked") + b"x",
    "half a reply": REPLY + b"HTTP/1.1 200 OK\r\n",
}


@both
@pytest.mark.parametrize("sent", SURPLUS.values(), ids=SURPLUS)
def test_a_connection_with_more_than_the_reply_is_never_used_again(sent: bytes, secure: bool) -> None:
    def once(connection: Connection) -> None:
        connection.read_request()
        connection.send(sent)
        connection.read_request()  # never comes

    with serving(once, fine, secure=secure) as (server, client):
        assert REST("POST", "/a", client=client) == FINE
        assert REST("POST", "/b", client=client) == FINE
        assert server.connections == 2
        assert [request.path for request in server.requests] == ["/a", "/b"]


@both
@pytest.mark.parametrize(("method", "status"), [("POST", 204), ("POST", 304), ("HEAD", 200)])
def test_content_after_a_reply_without_content_is_no_reply_to_the_next_call(
    method: str, status: int, secure: bool
) -> None:
    def once(connection: Connection) -> None:
        connection.read_request()
        connection.send(reply_bytes(status, '{"mine": true}'))
        connection.read_request()

    with serving(once, fine, secure=secure) as (server, client):
        assert REST(method, "/a", client=client) == ""
        assert REST("POST", "/b", client=client) == FINE
        assert server.connections == 2


@both
def test_bytes_that_come_on_an_idle_connection_are_no_reply_to_the_next_call(secure: bool) -> None:
    more = threading.Event()

    def once(connection: Connection) -> None:
        connection.read_request()
        connection.send(REPLY)
        more.wait(20)
        connection.send(reply_bytes(200, '{"mine": true}'))
        came.set()
        connection.read_request()

    came = threading.Event()
    with serving(once, fine, secure=secure) as (server, client):
        assert REST("POST", "/a", client=client) == FINE
        more.set()
        assert came.wait(20)
        assert REST("POST", "/b", client=client) == FINE
        assert server.connections == 2


@both
def test_an_idle_connection_that_the_bridge_closed_or_reset_is_replaced_before_anything_is_sent(secure: bool) -> None:
    ends = [Connection.reset, lambda connection: connection.sock.close()] * 5
    ended = threading.Semaphore(0)

    def ending(end: Callable[[Connection], None]) -> Script:
        def script(connection: Connection) -> None:
            connection.read_request()
            connection.send(REPLY)
            end(connection)
            ended.release()

        return script

    with serving(*[ending(end) for end in ends], fine, secure=secure) as (server, client):
        for _ in ends:
            assert REST("POST", "/a", client=client) == FINE
            assert ended.acquire(timeout=20)
        assert REST("POST", "/a", client=client) == FINE
        assert len(server.requests) == len(ends) + 1


class EndingBody:
    """A body that closes the connections when its first piece is read."""

    def __init__(self, connections: list[Connection]) -> None:
        self._connections = connections

    def __iter__(self) -> Iterator[bytes]:
        while self._connections:
            self._connections.pop().sock.shutdown(socket.SHUT_RDWR)
        yield b"12345"


@contextmanager
def kept_connections(
    road: str, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[Server, Transport, list[Connection]]]:
    """Give a bridge, a transport that reaches it directly or by way of a proxy, and the ends of its connections."""
    ends: list[Connection] = []

    def noted(script: Script) -> Script:
        def noting(connection: Connection) -> None:
            ends.append(connection)
            script(connection)

        return noting

    secure = road == "TLS"
    with ExitStack() as stack:
        direct = road in ("TCP", "TLS")
        server = stack.enter_context(
            Server(noted(fine) if direct else fine, context=server_context() if secure else None)
        )
        if not direct:
            proxy = stack.enter_context(Server(noted(relay if road == "HTTP proxy" else socks_relay)))
            scheme = "http" if road == "HTTP proxy" else "socks5"
            monkeypatch.setenv("http_proxy", f"{scheme}://{HOST}:{proxy.port}")
        transport = Transport(urlsplit(server.url), PATIENT, client_context(), "a test")
        stack.callback(transport.close)
        yield server, transport, ends


@pytest.mark.parametrize("road", ["TCP", "TLS", "HTTP proxy", "SOCKS proxy"])
def test_a_kept_connection_that_ends_between_the_look_at_it_and_the_first_byte_costs_no_call(
    road: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = Request("POST", "/a", {"content-length": "5"}, b"")
    with kept_connections(road, monkeypatch) as (server, transport, ends):
        for _ in range(3):
            kept = ends.copy()
            ends.clear()
            reply = transport.send(request, Job(lambda function: None), EndingBody(kept))
            assert isinstance(reply, Reply), repr(reply)
            assert reply.body == REPLY.partition(b"\r\n\r\n")[2]
        assert [received.body for received in server.requests] == [b"12345"] * 3


@both
@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
def test_a_kept_connection_that_ends_once_a_byte_was_sent_is_not_tried_again(method: str, secure: bool) -> None:
    def once(connection: Connection) -> None:
        connection.read_request()
        connection.send(REPLY)
        connection.sock.recv(1)

    with serving(once, fine, secure=secure) as (server, client):
        assert REST("POST", "/a", client=client) == FINE
        value = REST(method, "/b", {"long": "x" * 100}, client=client)
        assert isinstance(value, ConnectionResetError | RemoteDisconnected)
        assert server.connections == 1


# Interim replies


@both
@pytest.mark.parametrize("cut", range(1, 26, 3))
def test_an_interim_reply_may_come_in_two_pieces_while_an_upload_is_sent(cut: int, secure: bool) -> None:
    interim = b"HTTP/1.1 100 Continue\r\n\r\n"

    def script(connection: Connection) -> None:
        head = connection.read_head()
        assert head is not None
        connection.send(interim[:cut])
        missing = int(head.headers["content-length"]) - len(connection.buffer)
        missing -= len(connection.sock.recv(1 << 16))
        connection.send(interim[cut:])
        while missing:
            missing -= len(connection.sock.recv(1 << 18))
        connection.send(REPLY)

    with serving(script, secure=secure) as (_, client):
        assert Files("id", PAIR, client=client).upload(bytes(3_000_000), "token") == FINE


@both
def test_a_refusal_in_chunks_right_after_an_interim_reply_is_returned(secure: bool) -> None:
    refusal = json.dumps({"error": "No"}).encode()
    chunks = b"%x\r\n%s\r\n0\r\n\r\n" % (len(refusal), refusal)

    def script(connection: Connection) -> None:
        connection.read_head()
        reply = reply_bytes(401, chunks, Transfer_Encoding="chunked")
        connection.send(b"HTTP/1.1 100 Continue\r\n\r\n" + reply)
        connection.wait()

    with serving(script, secure=secure) as (_, client):
        assert Files("id", PAIR, client=client).upload(bytes(50_000_000), "token") == {"error": "No"}


@both
@pytest.mark.parametrize("method", ["GET", "upload"])
@pytest.mark.parametrize("interim", [b"HTTP/1.1 102 Wait\r\n\r\n", b"HTTP/1.1 102 Wait\r\nx: " + b"y" * 70_000])
def test_a_flood_of_interim_replies_ends(interim: bytes, method: str, secure: bool) -> None:
    def flooding(connection: Connection) -> None:
        connection.read_head()
        while True:
            connection.send(interim)

    with serving(flooding, secure=secure) as (_, client):
        if method == "GET":
            value = REST("POST", "/a", client=client)
        else:
            value = Files("id", PAIR, client=client).upload(bytes(50_000_000), "token")
    assert type(value) is BadStatusLine
    assert "interim" in str(value)


# Broken replies


@both
@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        (b"", RemoteDisconnected),
        (b"HTTP/1.1 2", RemoteDisconnected),
        (b"HTTP/1.1 200 OK\r\nContent-Le", RemoteDisconnected),
        (b"HTTP/1.1 100 Continue\r\n\r\n", RemoteDisconnected),
        (b"disconnected", BadStatusLine),
        (b"disconnected\r\n\r\n", BadStatusLine),
        (b"\x00" * 50, BadStatusLine),
        (b"HTTP/1.1 200 OK\r\ndisconnected\r\n\r\n", BadStatusLine),
        (reply_bytes(200, "[", Content_Length="2"), IncompleteRead),
        (b"HTTP/1.1 200 OK\n\n[", list),
    ],
)
def test_bytes_that_a_bridge_sends_before_it_closes_decide_the_value(
    sent: bytes, expected: type[object], secure: bool
) -> None:
    def script(connection: Connection) -> None:
        connection.read_request()
        connection.send(sent)

    with serving(script, secure=secure) as (_, client):
        value = REST("POST", "/a", client=client)
    assert value == "[" if expected is list else type(value) is expected


@both
@pytest.mark.parametrize("endless", [b"x: yyyyyyyyyyyyyyyyyyyyyyyyy\r\n", b"z" * 1000], ids=["headers", "one header"])
def test_an_endless_head_is_no_reply(endless: bytes, secure: bool) -> None:
    def script(connection: Connection) -> None:
        connection.read_request()
        connection.send(b"HTTP/1.1 200 OK\r\nx:")
        while True:
            connection.send(endless)

    with serving(script, secure=secure) as (_, client):
        assert type(REST("POST", "/a", client=client)) is BadStatusLine


# One call within another


def test_a_call_may_be_made_within_the_progress_callback_of_another() -> None:
    inner: list[Any] = []

    with serving(fine) as (_, client):

        def progress(done: int, total: int | None) -> None:
            inner.append(REST("GET", "/a", client=client))

        value = Files("id", PAIR, client=client).upload(bytes(3_000_000), "token", progress=progress)
    assert value == FINE
    assert inner
    assert all(each == FINE for each in inner)


def test_a_call_may_be_made_within_the_read_of_a_file_that_another_one_sends(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(os.urandom(1_000_000))
    with serving(fine) as (server, client), path.open("rb") as file:

        class Calling:
            seek, tell, fileno = file.seek, file.tell, file.fileno
            name = "file"

            def read(self, size: int = -1) -> bytes:
                assert REST("GET", "/a", client=client) == FINE
                return file.read(size)

        source: Any = Calling()
        assert Files("id", PAIR, client=client).upload(source, "token", name="f") == FINE
        assert path.read_bytes() in max((request.body for request in server.requests), key=len)


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="the system has no such signal")
def test_a_call_may_be_made_within_a_signal_handler() -> None:
    begun: list[bool] = []
    inner: list[Any] = []

    def late(connection: Connection) -> None:
        connection.read_request()
        handled.wait(20)
        connection.send(REPLY)

    handled = threading.Event()
    with serving(late, fine) as (server, client):

        def handle(*_: object) -> None:
            if server.requests and not begun:
                begun.append(True)  # the next alarm may come within the call
                inner.append(REST("GET", "/b", client=client))
                handled.set()

        before = signal.signal(signal.SIGALRM, handle)
        signal.setitimer(signal.ITIMER_REAL, 0.05, 0.05)
        try:
            assert REST("GET", "/a", client=client) == FINE
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, before)
    assert inner == [FINE]


# httpcore's seam


def test_respx_mocks_calls_by_its_default() -> None:
    with respx.mock() as router, Client("http://bridge.invalid") as client:
        router.get("http://bridge.invalid/a").respond(json={"fine": True})
        assert REST("GET", "/a", client=client) == FINE


def test_a_read_without_a_limit_of_its_own_has_that_of_the_job() -> None:
    """httpcore names none where it speaks with a SOCKS proxy."""
    with Server(Connection.wait) as server, sending_for(Job(lambda function: None), 0.05):
        stream = Backend().connect_tcp(HOST, server.port, 20)
        with pytest.raises(httpcore.ReadTimeout):
            stream.read(1)
        stream.close()
