"""How much does a bridge do? Beside what the machine does without one, in the same run.

Signed `GET /buckets` per second, on SQLite and on PostgreSQL, beside a plain Starlette reply under the same uvicorn;
signatures verified; uploads beside writing, hashing twice and syncing the same bytes; downloads by channel beside
reading and hashing them, direct ones under curl beside nginx. Each with 1 and with 16 clients, in this process; the
servers have processes of their own.

    python -m tests.bench.bench_bridge --requests 2000 --mib 8
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from pymdc.bridge import curve
from pymdc.keypair import ECDSA

from .. import engines
from ..bridge.chaos.processes import Process, people, visited
from ..bridge.harness import Person, file_hash, multipart, settings_for

MIB = 1 << 20
CLIENTS = (1, 16)
PLAIN = """
import socket, uvicorn
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route

async def reply(request):
    return JSONResponse([])
app = Starlette(routes=[Route("/buckets", reply)])
listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
listener.bind(("127.0.0.1", 0))
listener.listen(100)
print(listener.getsockname()[1], flush=True)
uvicorn.Server(uvicorn.Config(app, http="httptools", log_config=None, access_log=False)).run(sockets=[listener])
"""


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
    nonces = range(time.time_ns() // 1_000_000, 1 << 60)
    queries = [f"__nonce={nonce}" for nonce, _ in zip(nonces, range(count), strict=False)]
    key = person.key
    sign = [{"x-pubkey": key.get_public_key(), "x-signature": key.sign(f"GET\n/buckets\n{query}")} for query in queries]
    return [get(f"/buckets?{query}", headers) for query, headers in zip(queries, sign, strict=True)]


def spread(work: list[Any], clients: int, port: int, do: Callable[[Connection, Any], object]) -> float:
    """Do all of `work` with a number of clients, and return the seconds that it took."""

    def one(mine: list[Any]) -> None:
        with closing(Connection(port)) as connection:
            for item in mine:
                do(connection, item)

    began = time.perf_counter()
    with ThreadPoolExecutor(clients) as pool:
        list(pool.map(one, [work[start::clients] for start in range(clients)]))
    return time.perf_counter() - began


@contextmanager
def plain_server() -> Iterator[int]:
    with subprocess.Popen([sys.executable, "-c", PLAIN], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield int(process.stdout.readline())
        finally:
            process.terminate()


def verifications(count: int) -> tuple[float, float]:
    """Signatures verified per second: by libsecp256k1, and in Python alone."""
    key = ECDSA()
    text = key.sign("message")
    parsed, point = curve.parse_signature(text), key.get_public_key()
    assert parsed is not None
    began = time.perf_counter()
    assert all(curve.verify(point, parsed, b"message") for _ in range(count))
    middle = time.perf_counter()
    assert all(key.valid_signature(text, "message") for _ in range(count // 10))
    return count / (middle - began), count // 10 / (time.perf_counter() - middle)


def written(folder: Path, files: list[bytes]) -> float:
    """Seconds that it takes to hash, write and sync files."""
    began = time.perf_counter()
    for number, data in enumerate(files):
        hashlib.sha256(data)  # as a file, and as a shard
        hashlib.sha256(data)
        with (folder / str(number)).open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
    return time.perf_counter() - began


def syncs(count: int = 200) -> float:
    """How often the disk takes what a commit writes, in a second."""
    with tempfile.TemporaryFile() as file:
        began = time.perf_counter()
        for _ in range(count):
            os.write(file.fileno(), bytes(3 * 4096))
            os.fsync(file.fileno())
    return count / (time.perf_counter() - began)


def read(folder: Path, count: int) -> float:
    """Seconds that it takes to read and hash files."""
    began = time.perf_counter()
    for number in range(count):
        hashlib.sha256((folder / str(number)).read_bytes())
    return time.perf_counter() - began


def put(bucket: str, token: str, body: bytes, size: int) -> bytes:
    lines = [
        f"PUT /buckets/{bucket}/files HTTP/1.1", "Host: b", f"x-token: {token}", f"x-filesize: {size}",
        f"Content-Length: {len(body)}", "Content-Type: multipart/form-data; boundary=----rb7MA4YWxk", "", "",
    ]  # fmt: skip
    return "\r\n".join(lines).encode()


def requests(engine: str, person: Person, bridge: int, count: int) -> None:
    with plain_server() as plain:
        for clients in CLIENTS:
            ahead = signed(person, count)
            limit = count / spread([get("/buckets", {})] * count, clients, plain, Connection.request)
            ours = count / spread(ahead, clients, bridge, Connection.request)
            show(f"signed GET /buckets, {engine}, {clients} clients", ours, "a plain reply", limit, "/s")
            show("the same", ours, "fsync of three pages", syncs(), "/s")


@contextmanager
def bridge_on(data: Path, engines_: dict[str, str]) -> Iterator[tuple[Person, Process]]:
    """Run a bridge in a process of its own, with somebody who has an account."""
    (somebody,) = people(data, engines_, 1)
    process = Process(data, engines_)
    with process.serving(), visited(settings_for(data, **engines_), process.url) as bridge:
        yield Person(bridge, somebody.email, somebody.key), process


def transfers(person: Person, bridge: int, folder: Path, mib: int, count: int) -> None:
    bucket = person.bucket(storage=1000, transfer=1000)
    folder.mkdir()
    for clients in CLIENTS:
        files = [os.urandom(mib * MIB) for _ in range(count)]
        total = mib * count
        bodies = [multipart(data) for data in files]
        heads = [put(bucket, person.token(bucket, "PUSH"), body, mib * MIB) for body in bodies]
        limit = total / written(folder, files)
        took = spread(list(zip(heads, bodies, strict=True)), clients, bridge, lambda c, pair: c.request(*pair))
        show(f"upload of {mib} MiB, {clients} clients", total / took, "write, 2 x sha256, fsync", limit, " MiB/s")
        pointers = [pointer for data in files for pointer in person.pointers(bucket, file_hash(data)).json()]
        limit = total / read(folder, count)
        took = spread(pointers, clients, bridge, lambda _, pointer: _fetched(bridge, pointer))
        show(f"download of {mib} MiB, {clients} clients", total / took, "read, sha256", limit, " MiB/s")


def direct(person: Person, folder: Path, mib: int, count: int) -> None:
    """Direct downloads, and the same files from nginx, each by one curl that fetches them one after the other."""
    if shutil.which("nginx") is None or shutil.which("curl") is None:
        return
    bucket = person.bucket(storage=1000, transfer=1000)
    files = [os.urandom(mib * MIB) for _ in range(count)]
    urls = []
    for number, data in enumerate(files):
        (folder / str(number)).write_bytes(data)
        person.upload(bucket, data)
        headers = {"x-token": person.token(bucket, "PULL"), "x-direct": "1"}
        reply = person.bridge.http.get(f"/buckets/{bucket}/files/{file_hash(data)}", headers=headers)
        urls += [pointer["url"] for pointer in reply.json()]
    with nginx(folder) as port:
        limit = mib * count / curled([f"http://127.0.0.1:{port}/{number}" for number in range(count)])
        ours = mib * count / curled(urls)
    show(f"direct download of {mib} MiB", ours, "nginx", limit, " MiB/s")


@contextmanager
def nginx(folder: Path) -> Iterator[int]:
    """Serve a folder by nginx."""
    port, home = engines.free_port(), folder.parent / "nginx"
    home.mkdir()
    (home / "conf").write_text(
        f"daemon off; pid {home}/pid; error_log {home}/log; user root; events {{}}"
        f" http {{ sendfile on; tcp_nopush on; access_log off;"
        f" server {{ listen 127.0.0.1:{port}; root {folder}; }} }}"
    )
    with subprocess.Popen(["nginx", "-c", str(home / "conf"), "-e", str(home / "log")]) as process:
        try:
            engines.wait_for_port(port)
            yield port
        finally:
            process.terminate()


def curled(urls: list[str]) -> float:
    """Seconds that one curl takes for URLs, the faster of two times."""
    command = ["curl", "--silent", "--fail", "--noproxy", "*"]
    command += [word for url in urls for word in ("--output", "/dev/null", url)]

    def once() -> float:
        began = time.perf_counter()
        subprocess.run(command, check=True)
        return time.perf_counter() - began

    return min(once(), once())


def _fetched(port: int, pointer: dict[str, str]) -> None:
    with closing(Connection(port)) as connection:
        assert connection.fetch(pointer)


def show(what: str, ours: float, beside: str, limit: float, unit: str) -> None:
    print(f"{what:46} {ours:8.0f}{unit:6} {beside}: {limit:8.0f}{unit:6} ratio {ours / limit:.2f}", flush=True)


def main() -> None:
    arguments = argparse.ArgumentParser(description="Load of a bridge.")
    arguments.add_argument("--requests", type=int, default=2000)
    arguments.add_argument("--mib", type=int, default=8)
    arguments.add_argument("--files", type=int, default=16)
    arguments.add_argument("--without-transfers", action="store_true")
    given = arguments.parse_args()
    fast, slow = verifications(1000)
    show("signatures verified", fast, "in Python alone", slow, "/s")
    with tempfile.TemporaryDirectory() as name:
        data = Path(name) / "sqlite"
        with bridge_on(data, {}) as (person, process):
            requests("SQLite", person, process.port, given.requests)
            if not given.without_transfers:
                transfers(person, process.port, data / "plain", given.mib, given.files)
                direct(person, data / "plain", given.mib, given.files)
        if engines.postgres_folder() is not None:
            with engines.postgresql(durable=True) as server:
                url = server.create("bench")
                with bridge_on(Path(name) / "postgresql", {"database": url}) as (person, process):
                    requests("PostgreSQL", person, process.port, given.requests)


if __name__ == "__main__":
    main()
