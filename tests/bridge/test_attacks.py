"""One address attacks the bridge, and a client at another address works on without an error.

Each attack lasts a moment, or with PYMDC_LARGE a minute.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import socket
import ssl
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.sync.client import connect

from pymdc.bridge.mail import Mail
from pymdc.bridge.server import BridgeThread

from .harness import Running, settings_for
from .test_tls import certificate, trusting

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="elsewhere loopback has one address")
SECONDS = 60 if os.environ.get("PYMDC_LARGE") else 2
LIMITS = {"max_connections": 160, "max_requests": 80}  # as large a part of them as with the default ones
ATTACKERS = 160
GET = b"GET / HTTP/1.1\r\nHost: b\r\n"
UPGRADE = GET + (
    b"Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)
MEMORY_BYTES = 64 << 20

# How a connection begins, and what is sent on it again and again; nothing is ever read.
ATTACKS: dict[str, tuple[bytes, bytes]] = {
    "pings on a channel": (UPGRADE, b"\x89\xfd\0\0\0\0" + bytes(125)),
    "empty fragments on a channel": (UPGRADE + b"\x01\x80\0\0\0\0", b"\0\x80\0\0\0\0" * 1000),
    "requests whose replies are not read": (b"", GET + b"\r\n"),
    "bodies that trickle": (b"POST /users HTTP/1.1\r\nHost: b\r\nContent-Length: 100000\r\n\r\n", b"x"),
    "channels that say nothing": (UPGRADE, b""),
    "connections that say nothing": (b"", b""),
    "heads that never end": (GET, b"X: x\r\n"),
}


@contextlib.contextmanager
def attacked(port: int, begin: bytes, then: bytes) -> Iterator[None]:
    """Many connections from 127.0.0.1 at once, each made anew when it is closed."""
    over = threading.Event()

    def attack() -> None:
        with contextlib.ExitStack() as stack:
            connections: list[socket.socket] = []
            while not over.is_set():
                connections = [one for one in connections if not _dropped(one, then)]
                for _ in range(min(10, ATTACKERS - len(connections))):
                    connection = stack.enter_context(socket.create_connection(("127.0.0.1", port)))
                    connection.setblocking(False)
                    with contextlib.suppress(OSError):
                        connection.send(begin)
                    connections.append(connection)
                over.wait(0.02)

    attacking = threading.Thread(target=attack)
    attacking.start()
    try:
        yield
    finally:
        over.set()
        attacking.join()


def _dropped(connection: socket.socket, then: bytes) -> bool:
    watched = select.poll()
    watched.register(connection, select.POLLHUP | select.POLLERR | select.POLLOUT)
    state = watched.poll(0)
    if state and state[0][1] & (select.POLLHUP | select.POLLERR):
        connection.close()
        return True
    with contextlib.suppress(OSError):
        if then and state:
            connection.send(then)
    return False


@contextlib.contextmanager
def elsewhere(data: Path, context: ssl.SSLContext | None = None, **settings: object) -> Iterator[Running]:
    """A bridge, and an HTTP client at 127.0.0.2."""
    mails: list[Mail] = []
    verify: ssl.SSLContext | bool = True if context is None else context
    with (
        BridgeThread(settings_for(data, on_mail=mails.append, **LIMITS, **settings)) as thread,
        httpx.HTTPTransport(local_address="127.0.0.2", verify=verify) as transport,
        httpx.Client(base_url=thread.url, timeout=30, transport=transport) as http,
    ):
        yield Running(thread, http, data, mails)


def work(bridge: Running, context: ssl.SSLContext | None = None) -> None:
    """The documented flow, each step of it without an error."""
    person = bridge.person()
    bucket = person.bucket()
    stored = person.upload(bucket, b"some data").raise_for_status().json()["hash"]
    (pointer,) = person.pointers(bucket, stored).raise_for_status().json()
    source = ("127.0.0.2", 0)
    options: dict[str, Any] = {"ssl": context, "source_address": source, "open_timeout": 30}
    with connect(pointer["channel"], compression=None, proxy=None, **options) as channel:
        channel.send(json.dumps(pointer))
        assert b"".join(message for message in channel if isinstance(message, bytes)) == b"some data"
    assert len(person.send("GET", f"/buckets/{bucket}/files").raise_for_status().json()) == 1
    person.send("DELETE", f"/buckets/{bucket}/files/{stored}").raise_for_status()
    person.send("DELETE", f"/buckets/{bucket}").raise_for_status()
    bridge.http.get("/health").raise_for_status()


def held(bridge: Running, work: Callable[[], None]) -> None:
    end, before = time.monotonic() + SECONDS, _memory()
    while time.monotonic() < end:
        work()
    assert _memory() - before < MEMORY_BYTES


def _memory() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.parametrize("attack", ATTACKS)
def test_an_attack_from_one_address_does_not_keep_others_from_working(tmp_path: Path, attack: str) -> None:
    with elsewhere(tmp_path) as bridge:
        work(bridge)
        with attacked(bridge.settings.port, *ATTACKS[attack]):
            held(bridge, lambda: work(bridge))


def test_connections_that_never_shake_hands_do_not_keep_others_from_working(tmp_path: Path) -> None:
    authority, files = certificate(tmp_path)
    context, for_channels = trusting(authority)
    with elsewhere(tmp_path / "data", context, **files) as bridge:
        work(bridge, for_channels)
        for begin in (b"", b"\x16\x03\x01\x02\x00\x01"):
            with attacked(bridge.settings.port, begin, b""):
                held(bridge, lambda: work(bridge, for_channels))
