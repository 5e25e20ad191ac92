"""Clients that read a shard slowly, over TCP and TLS: who reads steadily gets all of it, others are cut off."""

from __future__ import annotations

import json
import os
import select
import socket
import ssl
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import httpx
import pytest
import trustme

from pymdc.bridge import peers
from pymdc.bridge.mail import Mail
from pymdc.bridge.server import BridgeThread

from .harness import Person, Running, settings_for
from .test_tls import certificate, trusting

SIZE = 1_500_000  # more than asyncio buffers with TLS
UPGRADE = (
    b"GET / HTTP/1.1\r\nHost: b\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)


@pytest.fixture(params=["TCP", "TLS"])
def alice_and_context(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[Person, ssl.SSLContext | None]]:
    """Somebody who uses a bridge, and what to verify its certificate with."""
    secure = request.param == "TLS"
    authority, files = certificate(tmp_path) if secure else (trustme.CA(), {})
    verify, for_sockets = trusting(authority)
    mails: list[Mail] = []
    with (
        BridgeThread(settings_for(tmp_path / "data", on_mail=mails.append, **files)) as thread,
        httpx.Client(base_url=thread.url, verify=verify, timeout=30, trust_env=False) as http,
    ):
        yield Running(thread, http, tmp_path / "data", mails).person(), for_sockets if secure else None


@contextmanager
def asking(alice: Person, context: ssl.SSLContext | None, kind: str) -> Iterator[socket.socket]:
    """A connection on which a shard was asked for. Its system buffers little, and acknowledges it in small steps."""
    bucket = alice.bucket()
    found = alice.upload(bucket, os.urandom(SIZE)).json()["hash"]
    headers = {"x-token": alice.token(bucket, "PULL"), "x-direct": "1"}
    (pointer,) = alice.bridge.http.get(f"/buckets/{bucket}/files/{found}", headers=headers).json()
    if kind == "a shard by its URL" and httpx.URL(pointer["url"]).port != alice.bridge.settings.port:
        pytest.skip("the store sends the shard itself")
    with ExitStack() as stack:
        raw = stack.enter_context(socket.socket())
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8192)
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, 1000)
        raw.settimeout(30)
        raw.connect(("127.0.0.1", alice.bridge.settings.port))
        link = stack.enter_context(context.wrap_socket(raw, server_hostname="127.0.0.1")) if context else raw
        if kind == "a shard by its URL":
            line = b"GET " + httpx.URL(pointer["url"]).raw_path + b" HTTP/1.1\r\n"
            link.sendall(line + b"Host: b\r\nConnection: close\r\n\r\n")
        else:
            link.sendall(UPGRADE)
            while link.recv(1) != b"\n" or link.recv(2) != b"\r\n":
                pass
            asked = json.dumps({**pointer, "url": ""}).encode()
            link.sendall(b"\x81\xfe" + len(asked).to_bytes(2, "big") + bytes(4) + asked)
        yield link


def read(link: socket.socket, size: int, pause: float) -> int:
    """Read up to `size` bytes, in small pieces with pauses between them, and return how many came."""
    received = 0
    while received < size and (piece := link.recv(min(4096, size - received))):
        received += len(piece)
        select.select([], [], [], pause)
    return received


def is_cut_off(link: socket.socket) -> bool:
    watched = select.poll()
    watched.register(link, select.POLLHUP | select.POLLERR)
    return bool(watched.poll(30_000))


KINDS = pytest.mark.parametrize("kind", ["a shard by its URL", "a data channel"])


@pytest.mark.skipif(sys.platform != "linux", reason="other systems do not tell what a client has taken")
@KINDS
def test_a_client_that_reads_slowly_but_steadily_gets_all(
    alice_and_context: tuple[Person, ssl.SSLContext | None], monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    """It needs longer than `SEND_SECONDS` for what waits in buffers."""
    monkeypatch.setattr(peers, "SEND_SECONDS", 0.7)
    monkeypatch.setattr(peers, "READ_BYTES", 1000)
    with asking(*alice_and_context, kind) as link:
        assert read(link, SIZE, 0.008) == SIZE


@KINDS
@pytest.mark.parametrize("taken", [0, SIZE - 900_000], ids=["from the beginning", "near the end"])
def test_a_client_that_stops_reading_is_cut_off(
    alice_and_context: tuple[Person, ssl.SSLContext | None], monkeypatch: pytest.MonkeyPatch, kind: str, taken: int
) -> None:
    monkeypatch.setattr(peers, "SEND_SECONDS", 0.5)
    monkeypatch.setattr(peers, "READ_BYTES", 1000)
    with asking(*alice_and_context, kind) as link:
        assert read(link, taken, 0) == taken
        assert is_cut_off(link)


@KINDS
def test_a_client_that_reads_too_little_is_cut_off(
    alice_and_context: tuple[Person, ssl.SSLContext | None], monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    monkeypatch.setattr(peers, "SEND_SECONDS", 0.3)
    monkeypatch.setattr(peers, "READ_BYTES", SIZE)
    with asking(*alice_and_context, kind) as link:
        received = 0
        with suppress(OSError):
            received = read(link, SIZE, 0.01)
        assert received < SIZE
