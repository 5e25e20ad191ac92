"""Clients that do as little as a client can, so that what is measured is the server."""

from __future__ import annotations

import itertools
import json
import os
import socket
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import Any

from ..bridge.harness import BOUNDARY, Person

FRAME = 4096 + 24  # of the journal of SQLite: a page and what stands before it
FRAMES = 1000  # after so many it begins anew

_nonces = itertools.count(time.time_ns() // 1_000_000)


class Connection:
    """One kept-alive connection: as little work as a client can do."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), 60)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._file = self._socket.makefile("rb", 1 << 16)

    def close(self) -> None:
        self._file.close()
        self._socket.close()

    def request(self, *parts: bytes) -> bytes:
        """Send a request, and return the body of the reply, which must be a 200."""
        for part in parts:
            self._socket.sendall(part)
        status, length = self._file.readline(), 0
        while (line := self._file.readline()) != b"\r\n":
            name, _, value = line.partition(b":")
            length = int(value) if name.lower() == b"content-length" else length
        body: bytes = self._file.read(length)
        assert status.startswith(b"HTTP/1.1 200"), (status, body)
        return body

    def fetch(self, pointer: dict[str, str]) -> int:
        """Fetch a shard over this connection, and return its size."""
        self._socket.sendall(
            b"GET / HTTP/1.1\r\nHost: b\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
            b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        )
        while self._file.readline() != b"\r\n":
            pass
        message = json.dumps(pointer).encode()
        self._socket.sendall(bytes([0x82, 0xFE, *len(message).to_bytes(2, "big"), 0, 0, 0, 0]) + message)
        size = 0
        while True:
            kind, length = self._file.read(2)
            length = int.from_bytes(self._file.read({126: 2, 127: 8}[length]), "big") if length > 125 else length
            body = self._file.read(length)
            if kind == 0x88:
                assert body[:2] == b"\x03\xe8", body
                return size
            size += len(body)


def get(path: str, headers: dict[str, str]) -> bytes:
    lines = [f"GET {path} HTTP/1.1", "Host: b", *(f"{name}: {value}" for name, value in headers.items()), "", ""]
    return "\r\n".join(lines).encode()


def signed(person: Person, count: int) -> list[bytes]:
    """Requests that are signed before anything is measured."""
    key, requests = person.key, []
    for nonce in itertools.islice(_nonces, count):
        query = f"__nonce={nonce}"
        headers = {"x-pubkey": key.get_public_key(), "x-signature": key.sign(f"GET\n/buckets\n{query}")}
        requests.append(get(f"/buckets?{query}", headers))
    return requests


def put(bucket: str, token: str, body: bytes, size: int) -> bytes:
    """Return the head of an upload."""
    lines = [
        f"PUT /buckets/{bucket}/files HTTP/1.1", "Host: b", f"x-token: {token}", f"x-filesize: {size}",
        f"Content-Length: {len(body)}", f"Content-Type: multipart/form-data; boundary={BOUNDARY}", "", "",
    ]  # fmt: skip
    return "\r\n".join(lines).encode()


def spread(work: Sequence[Any], clients: int, port: int, do: Callable[[Connection, Any], object]) -> float:
    """Do all of `work` with a number of clients, and return the seconds that it took."""

    def one(mine: Sequence[Any]) -> None:
        with closing(Connection(port)) as connection:
            for item in mine:
                do(connection, item)

    began = time.perf_counter()
    with ThreadPoolExecutor(clients) as pool:
        list(pool.map(one, [work[start::clients] for start in range(clients)]))
    return time.perf_counter() - began


def sync_pages(count: int) -> None:
    """Write and sync what a small commit of SQLite writes, so many times: a page, over an older one in its journal."""
    with tempfile.TemporaryFile() as file:
        file.write(bytes(FRAME * FRAMES))
        os.fsync(file.fileno())
        for number in range(count):
            os.pwrite(file.fileno(), bytes(FRAME), number % FRAMES * FRAME)
            os.fdatasync(file.fileno())


def syncs(count: int = 200) -> float:
    """How often the disk takes what a commit writes, in a second."""
    began = time.perf_counter()
    sync_pages(count)
    return count / (time.perf_counter() - began)
