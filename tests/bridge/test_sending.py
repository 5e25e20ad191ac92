"""Shards on their way to an S3 server: how much memory they take, and a line that is slow or breaks."""

from __future__ import annotations

import os
import socket
import struct
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from datetime import timedelta
from pathlib import Path

import httpx
import pytest

from pymdc.bridge import objects

from ..engines import shared_s3
from .chaos.audit import audit
from .chaos.processes import Process, people, visited
from .harness import BOUNDARY, Person, Running, cleaned, multipart, running, settings_for

SHARD = 8 << 20
CLIENTS = 16
MOST = 64 << 20  # bytes; the aim is 40 MiB on a quiet machine


class Line:
    """The line to an S3 server.

    Attributes:
        slow: whether it takes about two seconds to bring a shard.
        cuts: how many more connections break in the middle of what they bring.
    """

    def __init__(self, port: int) -> None:
        self.slow, self.cuts = False, 0
        self._port = port
        self._over = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]

    def serve(self) -> None:
        with suppress(OSError):
            while True:
                threading.Thread(target=self._carry, args=(self._listener.accept()[0],)).start()

    def close(self) -> None:
        self._over.set()
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _carry(self, near: socket.socket) -> None:
        with near, socket.create_connection(("127.0.0.1", self._port)) as far:
            back = threading.Thread(target=self._bring_back, args=(far, near))
            back.start()
            with suppress(OSError):
                self._bring(near, far)
            with suppress(OSError):
                far.shutdown(socket.SHUT_RDWR)
            back.join()

    def _bring(self, near: socket.socket, far: socket.socket) -> None:
        brought = 0
        while piece := near.recv(65536):
            brought += len(piece)
            if brought > SHARD // 8 and self.cuts:
                self.cuts -= 1
                near.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                near.close()
                return
            if self.slow:
                self._over.wait(0.015)
            far.sendall(piece)

    def _bring_back(self, far: socket.socket, near: socket.socket) -> None:
        with suppress(OSError):
            while piece := far.recv(65536):
                near.sendall(piece)
        with suppress(OSError):
            near.shutdown(socket.SHUT_RDWR)


@contextmanager
def behind_a_line(data: Path, patch: pytest.MonkeyPatch, name: str) -> Iterator[tuple[Running, Person, str, Line]]:
    """A bridge that reaches its S3 server by a line, somebody, and a bucket."""
    store, line = shared_s3().create(name), Line(shared_s3().port)
    patch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{line.port}")
    serving = threading.Thread(target=line.serve)
    serving.start()
    try:
        with running(data, store=store) as bridge:
            alice = bridge.person()
            yield bridge, alice, alice.bucket(), line
    finally:
        line.close()
        serving.join()


def test_a_line_that_brings_a_shard_slowly_is_not_taken_for_a_silent_server(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(objects._CLIENT, "read_timeout", timedelta(seconds=0.5))
    with behind_a_line(tmp_path, monkeypatch, "slow-line") as (_, alice, bucket, line):
        line.slow, data = True, os.urandom(SHARD)
        reply = alice.upload(bucket, data)
        line.slow = False
        assert reply.status_code == 200, reply.text
        assert alice.download(bucket, reply.json()["hash"]) == data


@pytest.mark.parametrize("cuts", [1, 1000])
def test_a_line_that_breaks_is_tried_again_and_given_up_in_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cuts: int
) -> None:
    with behind_a_line(tmp_path, monkeypatch, f"cut-{cuts}-times") as (bridge, alice, bucket, line):
        line.cuts, data = cuts, os.urandom(2 * SHARD)
        reply = alice.upload(bucket, data)
        line.cuts = 0
        if cuts == 1:
            assert alice.download(bucket, reply.json()["hash"]) == data
        else:
            assert (reply.status_code, reply.json()) == (503, {"error": "The store is not available, try again later"})
            assert alice.upload(bucket, data).status_code == 200
        cleaned(bridge.settings)
        assert audit(bridge.settings, clean=True) == []


@pytest.mark.skipif(sys.platform != "linux", reason="asks /proc")
@pytest.mark.parametrize("engine", ["folder", "S3"])
def test_many_large_uploads_at_once_take_little_memory(tmp_path: Path, engine: str) -> None:
    store = shared_s3().create("memory") if engine == "S3" else str(tmp_path / "shards")
    chosen = {"database": f"sqlite:///{tmp_path / 'database'}", "store": store}
    (somebody,), process = people(tmp_path / "data", chosen, 1), Process(tmp_path / "data", chosen)
    with process.serving(), visited(settings_for(tmp_path / "data", **chosen), process.url) as bridge:
        alice = Person(bridge, somebody.email, somebody.key)
        bucket = alice.bucket()
        alice.upload(bucket, os.urandom(SHARD)).raise_for_status()
        before = memory(process.pid, "VmRSS")
        tokens = [alice.token(bucket, "PUSH") for _ in range(CLIENTS)]
        with ThreadPoolExecutor(CLIENTS) as pool:
            assert set(pool.map(lambda token: sent(process.url, bucket, token), tokens)) == {200}
        grown = memory(process.pid, "VmHWM") - before
    print(f"{engine}: {grown / (1 << 20):.0f} MiB")
    assert grown < MOST


def sent(url: str, bucket: str, token: str) -> int:
    """Upload two random shards over a connection of one's own, and return the status."""
    headers = {"x-token": token, "x-filesize": str(2 * SHARD)}
    headers["content-type"] = f"multipart/form-data; boundary={BOUNDARY}"
    body = multipart(os.urandom(2 * SHARD))
    return httpx.put(f"{url}/buckets/{bucket}/files", content=body, headers=headers, timeout=120).status_code


def memory(process: int, what: str) -> int:
    """Return a figure of a process's memory, in bytes."""
    lines = Path(f"/proc/{process}/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(what))
