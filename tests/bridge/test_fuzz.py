"""Random input from clients causes no defect, no crash and no hang.

A defect is what the bridge logs as an error: a 500, or what uvicorn catches. Each well-formed request is answered, in
time; what is no request ends with its connection. The last test asks whether the bridge is still well.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import socket
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from pymdc.bridge.app import ROUTES

from .harness import BOUNDARY, Person, Running, multipart
from .test_middleware import connected

schemathesis = pytest.importorskip("schemathesis")

EXAMPLES = 1000 if os.environ.get("PYMDC_LARGE") else 100
SECONDS = 20.0  # no answer after so long is a hang: what the bridge waits for here takes milliseconds
bounded = settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))


class Errors(logging.Handler):
    """The errors in the log."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.seen: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.seen.append(self.format(record))

    def check(self) -> None:
        seen, self.seen = self.seen, []
        assert not seen, "\n".join(seen)


@pytest.fixture(scope="module")
def errors() -> Iterator[Errors]:
    handler = Errors()
    logging.getLogger().addHandler(handler)
    yield handler
    logging.getLogger().removeHandler(handler)


@pytest.fixture(scope="module")
def alice(bridge: Running) -> Person:
    return bridge.person()


@pytest.fixture(scope="module")
def bucket(alice: Person) -> str:
    bucket = alice.bucket()
    alice.upload(bucket, b"data")
    return bucket


@pytest.fixture(scope="module")
def changing(alice: Person) -> str:
    """A bucket whose fields may be anything."""
    return alice.bucket()


@pytest.fixture(scope="module")
def api(bridge: Running) -> Any:
    return schemathesis.openapi.from_url(f"{bridge.thread.url}/")


@pytest.mark.parametrize(("method", "path"), [(route.method, route.path) for route in ROUTES])
@settings(bounded, max_examples=EXAMPLES // 10)
@given(data=st.data(), known=st.booleans())
def test_requests_that_the_description_allows_get_the_described_answers(
    method: str, path: str, data: st.DataObject, known: bool, api: Any, alice: Person, bucket: str, errors: Errors
) -> None:
    case = data.draw(api[path][method].as_strategy())
    if known:
        _aim(case, alice, bucket)
    checks = [
        schemathesis.checks.not_a_server_error,
        schemathesis.checks.status_code_conformance,
        schemathesis.checks.content_type_conformance,
        schemathesis.checks.response_schema_conformance,
    ]
    case.call_and_validate(auth=alice.basic, checks=checks, timeout=SECONDS)
    errors.check()


def _aim(case: Any, alice: Person, bucket: str) -> None:
    """Let a case use existing ids."""
    # A request that removes the bucket, or fills it, would spoil the other cases.
    if "id" in case.path_parameters and (case.method == "GET" or case.path != "/buckets/{id}"):
        case.path_parameters["id"] = bucket
    if "x-filesize" in (case.headers or {}):
        case.headers["x-filesize"] = str(len(json.dumps(str(case.body))))
    if case.path.startswith("/buckets/{id}/files") and case.method in ("GET", "PUT"):
        case.headers = {
            **(case.headers or {}),
            "x-token": alice.token(bucket, "PUSH" if case.method == "PUT" else "PULL"),
        }


text = st.text(st.characters() | st.sampled_from("\0\ud800\udfff%/\\\"'\r\n"), max_size=40)
numbers = st.integers() | st.floats() | st.sampled_from([2**31, 2**63, 2**64, -(2**63), 10**400, 1e308, -1e308, 5e-324])
values = st.recursive(
    st.none() | st.booleans() | numbers | text | numbers.map(str),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(text, inner, max_size=3),
    max_leaves=5,
)
NAMES = ["email", "password", "pubkey", "redirect", "key", "name", "storage", "transfer", "pubkeys", "operation"]
bodies = st.dictionaries(st.sampled_from(NAMES), values) | values
WITH_BODY = [(route.method, route.path) for route in ROUTES if route.method in ("POST", "PATCH")]


@bounded
@given(route=st.sampled_from(WITH_BODY), body=bodies, good=st.booleans())
def test_any_json_is_answered(
    route: tuple[str, str], body: Any, good: bool, alice: Person, changing: str, errors: Errors
) -> None:
    method, path = route
    if good and isinstance(body, dict):  # so that what comes first passes, and the rest is looked at
        body = {"password": "ab" * 32, "email": "a@example.com", "operation": "PULL", **body}
    content = json.dumps(body).encode("utf-8", "surrogatepass")
    url = path.format(id=changing)
    reply = alice.bridge.http.request(method, url, content=content, auth=alice.basic, timeout=SECONDS)
    assert reply.status_code in (200, 400, 409, 413, 422, 429), reply.text
    assert alice.bridge.http.get("/buckets", auth=alice.basic).status_code == 200, "what is kept can be shown"
    errors.check()


@bounded
@given(
    method=st.sampled_from(["GET", "HEAD", "DELETE", "OPTIONS", "PUT", "PATCH", "POST", "TRACE", "X"]),
    path=st.sampled_from(["/keys/", "/buckets/", "/activations/", "/"]),
    rest=st.text(st.characters(max_codepoint=255) | st.sampled_from("%0123456789abcdef/?&=+"), max_size=30),
    query=st.text(st.sampled_from("__nonce=&%0123456789abcdef.-+eE;[]"), max_size=30),
    headers=st.dictionaries(
        st.sampled_from(
            ["authorization", "x-pubkey", "x-signature", "x-token", "x-filesize", "origin", "content-type", "cookie",
             "access-control-request-headers", "x-forwarded-for", "if-none-match", "range", "accept-encoding"]
        ),
        st.binary(max_size=60).map(lambda value: b"".join(value.split(b"\r")).replace(b"\n", b"").replace(b"\0", b"")),
    ),
)  # fmt: skip
def test_any_path_and_header_is_answered(
    method: str, path: str, rest: str, query: str, headers: dict[str, bytes], bridge: Running, errors: Errors
) -> None:
    target = (path + rest).encode("latin-1") + b"?" + query.encode()
    target = b"".join(bytes([byte]) for byte in target if 0x20 < byte != 0x7F)
    lines = [
        method.encode() + b" " + target + b" HTTP/1.1",
        b"Host: bridge",
        b"Connection: close",
        b"Content-Length: 0",
    ]
    lines += [name.encode() + b": " + value for name, value in headers.items()]
    with connected(bridge) as connection:
        connection.sendall(b"\r\n".join([*lines, b"", b""]))
        assert 200 <= _status(connection) < 500
    errors.check()


def _status(connection: socket.socket) -> int:
    connection.settimeout(SECONDS)
    reply = b""
    while chunk := connection.recv(65536):
        reply += chunk
    return int(reply.split()[1])


@st.composite
def mutated(draw: st.DrawFn, good: bytes) -> bytes:
    """Bytes that were good, cut, doubled, and overwritten here and there."""
    data = good
    for _ in range(draw(st.integers(0, 4))):
        start = draw(st.integers(0, len(data)))
        end = draw(st.integers(start, min(len(data), start + 40)))
        data = data[:start] + draw(st.binary(max_size=10) | st.just(data[start:end] * 2)) + data[end:]
    return data


GOOD = multipart(b"0123456789" * 3, 'a "name" \\ ☃.txt') + b"trailing"
TYPE = f'multipart/form-data; boundary="{BOUNDARY}"'.encode()


@bounded
@given(
    body=mutated(GOOD),
    kind=mutated(TYPE) | st.just(TYPE),
    size=numbers.map(str) | st.just("30"),
    cuts=st.lists(st.integers(0, len(GOOD)), max_size=3),
)
def test_any_multipart_body_is_answered(
    body: bytes, kind: bytes, size: str, cuts: list[int], alice: Person, bucket: str, errors: Errors
) -> None:
    kind = b"".join(bytes([byte]) for byte in kind if 0x20 <= byte != 0x7F)
    head = f"PUT /buckets/{bucket}/files HTTP/1.1\r\nHost: b\r\nConnection: close\r\nx-filesize: {size}\r\n"
    head += f"x-token: {alice.token(bucket, 'PUSH')}\r\nContent-Length: {len(body)}\r\nContent-Type: "
    with connected(alice.bridge) as connection:
        connection.sendall(head.encode() + kind + b"\r\n\r\n")
        for start, end in pairwise([0, *sorted(cuts), len(body) + len(GOOD)]):
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                connection.sendall(body[start:end])
        assert _status(connection) in (200, 400, 403, 413, 422)
    assert alice.bridge.sql("SELECT * FROM uploads") == [], "nothing is left of an upload that was answered"
    errors.check()


REQUEST = (
    b"POST /users HTTP/1.1\r\nHost: bridge\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n"
    b"Expect: 100-continue\r\n\r\n5\r\n{\"a\":\r\n2\r\n1}\r\n0\r\n\r\n"
    b"GET /health HTTP/1.1\r\nHost: bridge\r\nContent-Length: 4\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\nbody"
)  # fmt: skip


@bounded
@given(data=st.binary(max_size=200) | mutated(REQUEST))
def test_bytes_that_are_not_a_request_do_no_harm(data: bytes, bridge: Running, errors: Errors) -> None:
    with connected(bridge) as connection, contextlib.suppress(ConnectionResetError, BrokenPipeError):
        connection.settimeout(SECONDS)
        connection.sendall(data)
        connection.shutdown(socket.SHUT_WR)
        while connection.recv(65536):
            pass
    errors.check()


messages = (
    st.binary(max_size=100)
    | text.map(lambda value: value.encode("utf-8", "replace").decode())
    | st.dictionaries(st.sampled_from(["token", "hash", "operation"]), values | st.just("PULL")).map(json.dumps)
    | st.fixed_dictionaries({"token": values, "hash": values, "operation": st.just("PULL")}).map(json.dumps)
    | st.binary(min_size=16_300, max_size=16_500)
)


@bounded
@given(message=messages | st.lists(messages, max_size=4), path=st.text(st.sampled_from("/%20abc?=."), max_size=10))
def test_any_message_on_a_channel_is_answered_and_ends_it(
    message: Any, path: str, bridge: Running, errors: Errors
) -> None:
    url = f"ws{bridge.thread.url.removeprefix('http')}/{path}"
    with connect(url, compression=None, proxy=None, close_timeout=SECONDS) as channel:
        with contextlib.suppress(ConnectionClosed, TypeError):  # a list of messages is one in fragments, of one kind
            channel.send(message if not isinstance(message, list) or message else b"")
        received = _received(channel)
    if received:
        assert json.loads(received[0])["code"] in (400, 413)
    assert channel.close_code in (1000, 1007, 1008, 1009, 1006)
    errors.check()


def _received(channel: Any) -> list[Any]:
    received = []
    with contextlib.suppress(ConnectionClosed):
        while True:
            received.append(channel.recv(SECONDS))
    return received


@bounded
@given(frames=st.binary(max_size=40))
def test_frames_of_any_kind_end_with_their_connection(frames: bytes, bridge: Running, errors: Errors) -> None:
    head = REQUEST[REQUEST.index(b"GET") :].replace(b"Content-Length: 4\r\n", b"")[:-4]
    with connected(bridge) as connection, contextlib.suppress(ConnectionResetError, BrokenPipeError):
        connection.settimeout(SECONDS)
        connection.sendall(head + frames)
        connection.shutdown(socket.SHUT_WR)
        while connection.recv(65536):
            pass
    errors.check()


def test_after_all_the_fuzzing_the_bridge_is_healthy(alice: Person, bucket: str) -> None:
    assert alice.bridge.http.get("/health").json() == {"status": "ok"}
    assert alice.upload(bucket, b"more").status_code == 200
