"""Long texts in every place where a bridge reads input: no text holds it up."""

from __future__ import annotations

import ast
import contextlib
import json
import os
import pkgutil
import re
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

import pymdc.bridge
from pymdc.bridge.app import ROUTES

from .harness import BOUNDARY, Person, Running, running
from .loop import visited, watched_loop
from .test_middleware import connected

MEGABYTE = 1 << 20
STRICT = bool(os.environ.get("PYMDC_LARGE"))
ANSWER_SECONDS = 1.0 if STRICT else 10.0  # other programs run beside these tests
OTHERS_SECONDS = 0.1 if STRICT else 5.0
STALL_SECONDS = 0.05 if STRICT else 0.1
SEARCHING = {"pymdc.bridge.access", "pymdc.bridge.upload"}  # the others want the whole text to match
ROOT = Path(pymdc.bridge.__file__).parent


def patterns() -> Iterator[tuple[str, str, int]]:
    """Every regular expression that is written in the bridge: its module, its text, its flags."""
    for module in pkgutil.walk_packages([str(ROOT)], "pymdc.bridge."):
        path = ROOT.parent.parent / Path(*module.name.split("."))
        source = (path / "__init__.py" if module.ispkg else path.with_suffix(".py")).read_text("utf-8")
        for call in ast.walk(ast.parse(source)):
            if isinstance(call, ast.Call) and ast.unparse(call.func).startswith("re."):
                yield from _pattern(module.name, call)


def _pattern(module: str, call: ast.Call) -> Iterator[tuple[str, str, int]]:
    flags = 0
    for flag in ("IGNORECASE", "ASCII", "DOTALL"):
        flags |= getattr(re, flag) if f"re.{flag}" in ast.unparse(call) else 0
    if isinstance(call.args[0], ast.Constant):
        yield module, str(call.args[0].value), flags
    elif isinstance(call.args[0], ast.JoinedStr):
        names = vars(__import__(module, fromlist=["_"]))
        yield module, eval(ast.unparse(call.args[0]), names), flags
    else:
        place = (module, ast.unparse(call.args[0]))
        assert place == ("pymdc.bridge.routing", "pattern"), "a pattern that this test cannot read"
        yield from ((module, re.sub("{[a-z]+}", "([^/]+)", route.path), flags) for route in ROUTES)


@contextlib.contextmanager
def time_limit(seconds: float) -> Iterator[None]:
    """End a search that takes longer, even within a regular expression."""

    def end(*_: object) -> None:
        raise TimeoutError("this takes too long")

    before = signal.signal(signal.SIGALRM, end)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


FOUND = sorted(set(patterns()))


def test_the_patterns_are_found() -> None:
    assert len(FOUND) > 15


@pytest.mark.parametrize(("module", "pattern", "flags"), FOUND)
@settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_a_pattern_takes_time_in_proportion(module: str, pattern: str, flags: int, data: st.DataObject) -> None:
    """A megabyte of each piece of what it matches, after each beginning of it, and with each end."""
    compiled = re.compile(pattern, flags)
    match = data.draw(st.from_regex(compiled))
    begin = data.draw(st.integers(0, len(match)))
    end = data.draw(st.integers(begin, min(begin + 3, len(match))))
    atom = match[begin:end] or data.draw(st.sampled_from(["1", " ", "a", "\\", '"', ".", "-", ";"]))
    text = match[:begin] + atom * (MEGABYTE // len(atom)) + data.draw(st.sampled_from(["", "x", "\0", "\n"]))
    began = time.thread_time()
    with time_limit(30):
        compiled.fullmatch(text)
        if module in SEARCHING:
            compiled.sub("", text)
    assert time.thread_time() - began < 2


ATOMS = ["1", "1.", "1e", "a", "a.", "f", " ", "é", "\u0301\u0327", "=", "=?", "\\", '"', '\\"', ";a=", "%4", "/", ",:"]
FIELDS = [
    ("POST", "/users", "email"), ("POST", "/users", "password"), ("POST", "/users", "pubkey"),
    ("POST", "/users", "redirect"), ("POST", "/keys", "key"), ("POST", "/keys", "__nonce"),
    ("POST", "/buckets", "name"), ("POST", "/buckets", "storage"), ("POST", "/buckets", "transfer"),
    ("POST", "/buckets", "pubkeys"), ("PATCH", "/buckets/{bucket}", "storage"),
    ("PATCH", "/buckets/{bucket}", "transfer"), ("PATCH", "/buckets/{bucket}", "pubkeys"),
    ("POST", "/buckets/{bucket}/tokens", "operation"),
]  # fmt: skip
HEADERS = [
    "Authorization: Basic ", "X-Pubkey: ", "X-Signature: 00\r\nX-Pubkey: ", "X-Pubkey: 00\r\nX-Signature: ",
    "Origin: ", "Access-Control-Request-Headers: ", "X-Forwarded-For: ", "Accept: ", "Cookie: ", "Expect: ",
]  # fmt: skip
UPLOADS = ["X-Token: ", "X-Filesize: ", "Content-Type: ", "Content-Type: multipart/form-data; boundary="]
PATHS = [
    "/", "/activations/", "/activations/x?redirect=", "/keys/", "/keys?__nonce=", "/buckets/", "/buckets/x/files/",
]  # fmt: skip
PARTS = ["Content-Disposition: form-data; name=", "Content-Disposition: form-data; filename=", "Content-Type: ", ""]


@pytest.fixture(scope="module")
def alice(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Person]:
    data = tmp_path_factory.mktemp("bridge")
    with running(data, trusted_proxies=("127.0.0.0/8", "::/0"), redirect_origins=("http://a",)) as bridge:
        yield bridge.person()


def long_texts(size: int) -> Iterator[str]:
    for atom in ATOMS:
        text = atom * (size // len(atom.encode()))
        yield text
        yield text + "x"


def hostile(alice: Person, send: Callable[[str], None], size: int) -> None:
    """Send each long text. Each is answered in time, nothing holds up the loop, and others are served meanwhile."""
    with visited(alice.bridge.thread.url) as visits, watched_loop(alice.bridge.thread) as stalls:
        for text in long_texts(size):
            began = time.monotonic()
            with time_limit(60):
                send(text)
            assert time.monotonic() - began < ANSWER_SECONDS, text[:20]
    assert stalls.longest < STALL_SECONDS
    assert max(visits.seconds) < OTHERS_SECONDS


@pytest.mark.parametrize(("method", "path", "name"), FIELDS)
def test_a_long_text_in_a_field_does_not_delay_other_requests(alice: Person, method: str, path: str, name: str) -> None:
    path = path.format(bucket=alice.bucket())
    sent = {"email": "new@example.com", "password": "ab" * 32} if path == "/users" else {}

    def send(text: str) -> None:
        body = json.dumps({**sent, name: text}, ensure_ascii=False).encode("utf-8", "surrogatepass")
        assert alice.bridge.http.request(method, path, content=body, auth=alice.basic).status_code < 500

    hostile(alice, send, MEGABYTE - 100)


def exchange(bridge: Running, data: bytes) -> bytes:
    """Send all, and return the beginning of what comes."""
    with connected(bridge) as connection, contextlib.suppress(BrokenPipeError, ConnectionResetError):
        connection.sendall(data)
        return connection.recv(65536)
    return b""


def answered(bridge: Running, head: str, text: str, body: bytes = b"") -> None:
    request = head.encode() + text.encode() + b"\r\nHost: b\r\nConnection: close\r\n"
    request += f"Content-Length: {len(body)}\r\n\r\n".encode() + body
    status = exchange(bridge, request)[9:12]
    assert status < b"500", request[:100]


@pytest.mark.parametrize("size", [30_000, MEGABYTE])
@pytest.mark.parametrize("header", HEADERS)
def test_a_long_text_in_a_header_does_not_delay_other_requests(alice: Person, header: str, size: int) -> None:
    hostile(alice, lambda text: answered(alice.bridge, f"GET /keys HTTP/1.1\r\n{header}", text), size)


@pytest.mark.parametrize("size", [30_000, MEGABYTE])
@pytest.mark.parametrize("header", UPLOADS)
def test_a_long_text_in_the_head_of_an_upload_does_not_delay_other_requests(
    alice: Person, header: str, size: int
) -> None:
    bucket = alice.bucket()
    token = alice.token(bucket, "PUSH")
    given = "" if header == "X-Token: " else f"X-Token: {token}\r\n"
    given += "" if header == "X-Filesize: " else "X-Filesize: 4\r\n"
    line = f"PUT /buckets/{bucket}/files HTTP/1.1\r\n"
    hostile(alice, lambda text: answered(alice.bridge, line + given + header, text), size)


@pytest.mark.parametrize("size", [30_000, MEGABYTE])
@pytest.mark.parametrize("path", PATHS)
def test_a_long_path_does_not_delay_other_requests(alice: Person, path: str, size: int) -> None:
    def send(text: str) -> None:
        status = exchange(alice.bridge, f"GET {path}{text} HTTP/1.1\r\nHost: b\r\n\r\n".encode())[9:12]
        assert status < b"500"

    hostile(alice, send, size)


@pytest.mark.parametrize("size", [10_000, MEGABYTE])
@pytest.mark.parametrize("part", PARTS)
def test_a_long_text_in_a_multipart_body_does_not_delay_other_requests(alice: Person, part: str, size: int) -> None:
    bucket = alice.bucket()

    def send(text: str) -> None:
        body = f"--{BOUNDARY}\r\n{part}{text}\r\n\r\ndata\r\n--{BOUNDARY}--\r\n".encode()
        assert alice.put(bucket, body, 4).status_code < 500

    hostile(alice, send, size)


@pytest.mark.parametrize("size", [16_000, MEGABYTE])
@pytest.mark.parametrize("name", ["token", "hash", "operation", None])
def test_a_long_message_on_a_channel_does_not_delay_other_requests(alice: Person, name: str | None, size: int) -> None:
    plain = {"token": "a" * 40, "hash": "b" * 40, "operation": "PULL"}

    def send(text: str) -> None:
        message = text if name is None else json.dumps({**plain, name: text}, ensure_ascii=False)
        url = alice.bridge.thread.url.replace("http", "ws")
        with connect(url, compression=None, proxy=None) as channel, contextlib.suppress(ConnectionClosed):
            channel.send(message)
            assert json.loads(channel.recv(timeout=30))["code"] < 500

    hostile(alice, send, size)


def test_thousands_of_keys_do_not_delay_other_requests(alice: Person) -> None:
    key = alice.key.get_public_key()
    keys = [f"{3 if number % 2 else 2:02x}{number:064x}" for number in range(1, 15_000)]
    with visited(alice.bridge.thread.url) as visits, watched_loop(alice.bridge.thread) as stalls:
        for sent in ([key] * 15_000, keys):
            reply = alice.bridge.http.post("/buckets", json={"pubkeys": sent}, auth=alice.basic)
            assert reply.status_code == (200 if sent[0] == key else 400)
    assert stalls.longest < STALL_SECONDS
    assert max(visits.seconds) < OTHERS_SECONDS
