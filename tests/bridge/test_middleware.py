"""Requests over raw sockets that a well-behaved HTTP client would not send."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator

import anyio
import httpx
import pytest
from starlette.types import Message, Receive, Scope, Send

from pymdc.bridge import middleware
from pymdc.bridge.middleware import CompatibilityMiddleware

from .harness import BOUNDARY, Person, Running, multipart, until


@contextlib.contextmanager
def connected(bridge: Running) -> Iterator[socket.socket]:
    url = httpx.URL(bridge.thread.url)
    with socket.create_connection((url.host, url.port or 80), timeout=30) as connection:
        yield connection


def head(person: Person, bucket: str, length: int, token: str, size: int | None = None) -> bytes:
    lines = [
        f"PUT /buckets/{bucket}/files HTTP/1.1", "Host: bridge", f"x-token: {token}",
        f"x-filesize: {length if size is None else size}", f"Content-Length: {length}",
        f"Content-Type: multipart/form-data; boundary={BOUNDARY}", "", "",
    ]  # fmt: skip
    return "\r\n".join(lines).encode()


def read_reply(connection: socket.socket) -> tuple[int, bytes]:
    """Read one reply, no more."""
    data = b""
    while b"\r\n\r\n" not in data:
        data += connection.recv(1)
    headers, _, _ = data.partition(b"\r\n\r\n")
    length = int(headers.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
    body = b""
    while len(body) < length:
        body += connection.recv(length - len(body))
    return int(headers.split()[1]), headers + body


def ended(connection: socket.socket) -> bool:
    """Wait for the end of a connection."""
    try:
        while connection.recv(65536):
            pass
    except ConnectionResetError:
        return True
    return True


def send_on(connection: socket.socket) -> None:
    """Send until the other side has had enough."""
    with contextlib.suppress(OSError):
        while True:
            connection.sendall(b"x" * 65536)


def test_a_large_upload_is_refused_at_once(bridge: Running) -> None:
    alice = bridge.person()
    with connected(bridge) as connection:
        connection.sendall(head(alice, alice.bucket(), 1 << 40, "wrong") + b"the beginning")
        status, reply = read_reply(connection)
        assert status == 401
        assert b"connection: close" in reply.lower()


def test_a_client_that_only_reads_after_writing_gets_the_refusal(bridge: Running) -> None:
    alice = bridge.person()
    with connected(bridge) as connection:
        connection.sendall(head(alice, alice.bucket(), 20 << 20, "wrong") + bytes(20 << 20))
        assert read_reply(connection)[0] == 401
        assert ended(connection)


def test_a_refusal_in_the_middle_of_an_upload_arrives_too(bridge: Running) -> None:
    alice = bridge.person()
    bucket = alice.bucket()
    body = multipart(bytes(20 << 20))
    with connected(bridge) as connection:
        connection.sendall(head(alice, bucket, len(body), alice.token(bucket, "PUSH"), 1000) + body)
        status, reply = read_reply(connection)
        assert (status, b"File size exceeds declared size" in reply) == (400, True)
    until(bridge, lambda: not bridge.sql("SELECT * FROM uploads"))


def test_only_so_many_bytes_are_read_and_thrown_away(bridge: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(middleware, "DRAIN_BYTES", 100_000)
    alice = bridge.person()
    with connected(bridge) as connection:
        connection.sendall(head(alice, alice.bucket(), 1 << 40, "wrong"))
        assert read_reply(connection)[0] == 401
        send_on(connection)
        assert ended(connection)


def test_the_rest_of_a_body_is_awaited_only_for_so_long(bridge: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(middleware, "DRAIN_SECONDS", 0.05)
    alice = bridge.person()
    with connected(bridge) as connection:
        connection.sendall(head(alice, alice.bucket(), 1 << 40, "wrong"))
        assert read_reply(connection)[0] == 401
        assert ended(connection)


def test_a_client_that_waits_before_its_body_is_refused_without_reading_it(bridge: Running) -> None:
    alice = bridge.person()
    with connected(bridge) as connection:
        request = head(alice, alice.bucket(), 1 << 20, "wrong").replace(
            b"\r\n\r\n", b"\r\nExpect: 100-continue\r\n\r\n"
        )
        connection.sendall(request)
        assert read_reply(connection)[0] == 401


def test_a_body_that_stalls_is_refused(bridge: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(middleware, "READ_SECONDS", 0.05)
    monkeypatch.setattr(middleware, "DRAIN_SECONDS", 0.05)
    alice = bridge.person()
    bucket = alice.bucket()
    with connected(bridge) as connection:
        connection.sendall(head(alice, bucket, 1000, alice.token(bucket, "PUSH")) + multipart(b"")[:80])
        status, reply = read_reply(connection)
        assert (status, b"did not arrive in time" in reply) == (408, True)
        assert ended(connection)
    assert bridge.sql("SELECT * FROM uploads") == []


def test_a_body_that_was_not_read_does_not_become_the_next_request(bridge: Running) -> None:
    with connected(bridge) as connection:
        connection.sendall(
            b"GET /health HTTP/1.1\r\nHost: b\r\nContent-Length: 30\r\n\r\nGET /nosuch HTTP/1.1\r\nHost: b\r\n"
        )
        status, reply = read_reply(connection)
        assert (status, b"connection: close" in reply.lower()) == (200, True)
        assert ended(connection)


def test_a_preflight_with_a_body_is_answered(bridge: Running) -> None:
    with connected(bridge) as connection:
        connection.sendall(b"OPTIONS /x HTTP/1.1\r\nHost: b\r\nContent-Length: 4\r\n\r\nbody")
        data = connection.recv(65536)
        assert data.startswith(b"HTTP/1.1 204 ")
        assert ended(connection)


def test_an_origin_that_no_header_can_hold_is_not_reflected(bridge: Running) -> None:
    reply = bridge.http.get("/health", headers={b"Origin": b"http://a\xc2\x85"})
    assert "access-control-allow-origin" not in reply.headers
    reply = bridge.http.get("/health", headers={b"Origin": "http://ä".encode("latin-1")})
    assert reply.headers["access-control-allow-origin"] == "http://ä"


@pytest.mark.parametrize(
    ("method", "path", "page"),
    [
        ("GET", "/nosuch", "Cannot GET /nosuch\n"),
        ("PUT", "/Users/", "Cannot PUT /Users/\n"),
        ("GET", "/a%20b/<script>", "Cannot GET /a%20b/%3Cscript%3E\n"),
        ("POST", "/", "Cannot POST /\n"),
        ("TRACE", "/", "Cannot TRACE /\n"),
        ("GET", "/nosuch?secret=1", "Cannot GET /nosuch\n"),
    ],
)
def test_an_unknown_route_has_a_page_that_says_so(bridge: Running, method: str, path: str, page: str) -> None:
    reply = bridge.http.request(method, f"{bridge.thread.url}{path}")
    assert (reply.status_code, reply.text) == (404, page)
    assert reply.headers["content-type"] == "text/html; charset=utf-8"
    assert reply.headers["vary"] == "Origin"


def test_the_page_of_an_unknown_route_holds_no_markup(bridge: Running) -> None:
    with connected(bridge) as connection:
        connection.sendall(b"GET /<script> HTTP/1.1\r\nHost: b\r\n\r\n")
        assert b"Cannot GET /&lt;script&gt;\n" in read_reply(connection)[1]


@pytest.mark.parametrize(
    "data", [b"nonsense\r\n\r\n", b"GET * HTTP/1.1\r\n\r\n", b"GET /\xff\xfe HTTP/1.1\r\nHost: b\r\n\r\n"]
)
def test_bytes_that_are_not_http_are_refused(bridge: Running, data: bytes) -> None:
    with connected(bridge) as connection:
        connection.sendall(data)
        assert connection.recv(65536).startswith((b"HTTP/1.1 400 ", b"HTTP/1.1 404 "))


def test_a_reply_in_pieces_is_sent_whole_before_the_body_is_read() -> None:
    sent: list[Message] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"first ", "more_body": True})
        await send({"type": "http.response.body", "body": b"last"})

    async def receive() -> Message:
        assert b"".join(message.get("body", b"") for message in sent) == b"first last"
        return {"type": "http.request", "body": b"body", "more_body": False}

    async def send(message: Message) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "GET", "path": "/", "raw_path": b"/", "headers": [(b"content-length", b"4")]}
    anyio.run(CompatibilityMiddleware(app), scope, receive, send)
    assert [message.get("more_body", False) for message in sent[1:]] == [True, True, False]
