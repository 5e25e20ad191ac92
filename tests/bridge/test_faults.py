"""Engines that fail: a full disk, a store that cannot be written to, servers that go away and come back.

Each time the client is told so, nothing half-done is left, and service goes on by itself when the engine is back.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.sync.client import connect

from pymdc.bridge import objects
from pymdc.bridge.errors import Unavailable
from pymdc.bridge.room import check_room
from pymdc.bridge.routes import files
from pymdc.bridge.settings import Settings

from ..engines import postgres_folder, shared_postgresql, shared_s3
from .chaos.audit import audit
from .harness import PASSWORD, Person, Running, cleaned, multipart, running

NO_STORE = (503, {"error": "The store is not available, try again later"})
FULL = (507, {"error": "The disk of the bridge is full: it takes no files now"})
NO_DATABASE = (503, {"error": "The database is not available, try again later"})
BOUND = 30.0  # seconds within which everything is answered, even if an engine has failed
LARGE = bytes(9 << 20)

needs_postgresql = pytest.mark.skipif(postgres_folder() is None, reason="needs PostgreSQL")


def answer(reply: httpx.Response) -> tuple[int, Any]:
    assert reply.elapsed < timedelta(seconds=BOUND)
    return reply.status_code, reply.json()


def remount(folder: Path, options: str) -> None:
    subprocess.run(["mount", "-o", f"remount,{options}", str(folder)], check=True)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 24 MiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", str(folder)], capture_output=True)
    if done.returncode:
        pytest.skip(f"only a superuser may mount: {done.stderr.decode().strip()}")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


@contextmanager
def filled(disk: Path) -> Iterator[None]:
    """No byte is free on a disk."""
    filler = disk / "filler"
    with filler.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(4096))
        except OSError:
            pass
    yield
    filler.unlink()


def stored_and_read(person: Person, bucket: str, data: bytes) -> bool:
    reply = person.upload(bucket, data)
    return reply.status_code == 200 and person.download(bucket, reply.json()["hash"]) == data


def test_uploads_are_refused_and_downloads_go_on_when_little_is_free(
    tmp_path: Path, disk: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with running(tmp_path, store=str(disk / "shards"), minimum_free=10) as bridge:
        alice = bridge.person()
        bucket = alice.bucket()
        kept = alice.upload(bucket, LARGE).json()["hash"]
        token, before = alice.token(bucket, "PUSH"), bridge.blobs()
        assert answer(alice.put(bucket, multipart(LARGE), len(LARGE), token)) == FULL
        assert f"at {disk}" in caplog.text
        assert alice.download(bucket, kept) == LARGE
        assert alice.put(bucket, multipart(b"small"), 5, token).status_code == 200, "there is room, and the token"
        assert len(bridge.blobs()) == len(before) + 1


def test_a_store_that_is_full_is_told_and_filled_again_when_there_is_room(
    tmp_path: Path, disk: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with running(tmp_path, store=str(disk / "shards"), minimum_free=0) as bridge:
        alice = bridge.person()
        bucket = alice.bucket()
        kept = alice.upload(bucket, LARGE).json()["hash"]
        before, too_large = bridge.blobs(), os.urandom(20 << 20)
        monkeypatch.setattr(files, "check_room", lambda settings, size: None)  # other uploads came between
        assert answer(alice.upload(bucket, too_large)) == FULL
        assert str(disk) in caplog.text
        assert bridge.blobs() == before, "nothing half-written is left"
        assert bridge.sql("SELECT * FROM uploads") == []
        assert alice.download(bucket, kept) == LARGE
        alice.send("DELETE", f"/buckets/{bucket}/files/{kept}")
        cleaned(bridge.settings)
        assert stored_and_read(alice, bucket, too_large)
        assert audit(bridge.settings, clean=True) == []


def test_after_a_full_disk_the_bridge_works_again(disk: Path) -> None:
    with running(disk / "data", database=None, store=None, minimum_free=0) as bridge:
        alice = bridge.person()
        bucket = alice.bucket()
        kept = alice.upload(bucket, b"kept").json()["hash"]
        tokens = [alice.token(bucket, "PUSH") for _ in range(2)]
        with filled(disk):
            for token in tokens:
                assert answer(alice.put(bucket, multipart(LARGE), len(LARGE), token)) == FULL
            assert alice.send("POST", "/buckets", {"name": "x"}).status_code in (503, 507)
            sent = {"email": "late@example.com", "password": PASSWORD}
            assert bridge.http.post("/users", json=sent).status_code in (503, 507)
            assert bridge.http.get("/buckets", auth=alice.basic).status_code == 200, "what is there can be read"
        assert bridge.http.post("/users", json=sent).status_code == 200
        assert stored_and_read(alice, bucket, LARGE)
        assert alice.download(bucket, kept) == b"kept"
        cleaned(bridge.settings)
        assert audit(bridge.settings, clean=True) == []


def test_a_store_that_is_read_only_still_gives_what_it_holds(tmp_path: Path, disk: Path) -> None:
    with running(tmp_path, store=str(disk / "shards"), minimum_free=0) as bridge:
        alice = bridge.person()
        bucket = alice.bucket()
        kept, other = (alice.upload(bucket, data).json()["hash"] for data in (b"kept", b"other"))
        remount(disk, "ro")
        assert answer(bridge.http.get("/health")) == NO_STORE
        for data in (b"data", LARGE):
            assert answer(alice.upload(bucket, data)) == NO_STORE
        assert alice.download(bucket, kept) == b"kept"
        assert alice.send("DELETE", f"/buckets/{bucket}/files/{other}").status_code == 204
        assert [file["hash"] for file in alice.send("GET", f"/buckets/{bucket}/files").json()] == [kept]
        remount(disk, "rw")
        assert bridge.http.get("/health").status_code == 200
        assert stored_and_read(alice, bucket, LARGE)
        cleaned(bridge.settings)
        assert audit(bridge.settings, clean=True) == []


@contextmanager
def on_servers(data: Path, name: str) -> Iterator[tuple[Running, Person, str]]:
    engines = {"database": shared_postgresql().create(name), "store": shared_s3().create(name)}
    with running(data, **engines) as bridge:
        alice = bridge.person()
        yield bridge, alice, alice.bucket()


@needs_postgresql
def test_a_database_that_goes_away_is_told_and_found_again(tmp_path: Path) -> None:
    with on_servers(tmp_path, "database-away") as (bridge, alice, bucket):
        kept = alice.upload(bucket, LARGE).json()["hash"]
        token = alice.token(bucket, "PUSH")
        pointer = alice.pointers(bucket, kept).json()[0]
        shared_postgresql().stop()
        assert answer(bridge.http.get("/health")) == NO_DATABASE
        assert answer(bridge.http.get("/buckets", auth=alice.basic)) == NO_DATABASE
        assert answer(alice.send("GET", "/buckets")) == NO_DATABASE
        assert answer(alice.put(bucket, multipart(LARGE), len(LARGE), token)) == NO_DATABASE
        assert channel_error(pointer) == 503
        assert bridge.http.get("/").status_code == 200
        shared_postgresql().start()
        assert bridge.http.get("/health").status_code == 200
        assert alice.put(bucket, multipart(b"data"), 4, token).status_code == 200, "the token was not spent"
        assert alice.download(bucket, kept) == LARGE
        cleaned(bridge.settings)
        assert audit(bridge.settings, clean=True) == []


@needs_postgresql
def test_an_s3_server_that_goes_away_is_told_and_found_again(tmp_path: Path) -> None:
    with on_servers(tmp_path, "store-away") as (bridge, alice, bucket):
        kept = alice.upload(bucket, LARGE).json()["hash"]
        pointer = alice.pointers(bucket, kept).json()[0]
        with bridge.without_store():
            assert answer(bridge.http.get("/health")) == NO_STORE
            for data in (b"data", os.urandom(20 << 20)):
                assert answer(alice.upload(bucket, data)) == NO_STORE
            assert channel_error(pointer) == 503
            assert alice.send("GET", f"/buckets/{bucket}/files").status_code == 200
        assert bridge.http.get("/health").status_code == 200
        assert stored_and_read(alice, bucket, b"data")
        assert alice.download(bucket, kept) == LARGE
        cleaned(bridge.settings)
        assert audit(bridge.settings, clean=True) == []


@needs_postgresql
def test_the_wait_for_a_silent_s3_server_has_a_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(objects._CLIENT, "read_timeout", timedelta(seconds=0.5))
    monkeypatch.setattr(objects, "_SEND_SECONDS", 0.5)
    monkeypatch.setitem(objects._RETRY, "retry_timeout", timedelta(seconds=1))
    with on_servers(tmp_path, "store-silent") as (_, alice, bucket):
        process = shared_s3().process
        assert process is not None
        process.send_signal(signal.SIGSTOP)
        try:
            assert answer(alice.upload(bucket, LARGE)) == NO_STORE
        finally:
            process.send_signal(signal.SIGCONT)
        assert stored_and_read(alice, bucket, b"data")


def channel_error(pointer: dict[str, str]) -> int:
    """Ask for a shard, and return the code of the error."""
    with connect(pointer["channel"], compression=None, proxy=None) as socket:
        socket.send(json.dumps(pointer))
        return int(json.loads(socket.recv(BOUND))["code"])


def test_a_missing_disk_is_reported(tmp_path: Path) -> None:
    with pytest.raises(Unavailable):
        check_room(Settings(tmp_path, store=str(tmp_path / "gone")), 1)
