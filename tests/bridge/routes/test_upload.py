"""Uploads that do not go as planned leave nothing behind."""

from __future__ import annotations

import contextlib
import logging
from pathlib import Path

import obstore
import pytest

from pymdc.bridge import cleaning
from pymdc.bridge.blobs import Blobs
from pymdc.bridge.routes import files
from pymdc.bridge.store import Store, database

from ..harness import Running, cleaned, locked, multipart, object_store, running, until
from ..test_middleware import connected, head


def empty(bridge: Running) -> bool:
    return not bridge.sql("SELECT * FROM uploads") and not bridge.blobs()


def test_a_client_that_goes_leaves_nothing_behind(own_bridge: Running) -> None:
    alice = own_bridge.person()
    bucket = alice.bucket()
    with connected(own_bridge) as connection:
        body = multipart(bytes(20 << 20))
        connection.sendall(head(alice, bucket, len(body), alice.token(bucket, "PUSH")) + body[:-100])
        until(own_bridge, lambda: own_bridge.sql("SELECT * FROM uploads") and own_bridge.blobs())
    until(own_bridge, lambda: empty(own_bridge))
    assert alice.send("GET", f"/buckets/{bucket}/files").json() == []


def test_an_upload_gives_signs_of_life(own_bridge: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "UPLOAD_TOUCH_SECONDS", 0.0)
    alice = own_bridge.person()
    bucket, body = alice.bucket(), multipart(bytes(1000))
    with connected(own_bridge) as connection:
        connection.sendall(head(alice, bucket, len(body), alice.token(bucket, "PUSH"), 1000))
        until(own_bridge, lambda: own_bridge.sql("SELECT * FROM uploads"))
        own_bridge.sql("UPDATE uploads SET touched = 0")
        connection.sendall(body[:-1])
        until(own_bridge, lambda: own_bridge.sql("SELECT * FROM uploads WHERE touched > 0"))
        connection.sendall(body[-1:])
        assert connection.recv(65536).startswith(b"HTTP/1.1 200 OK")


def test_a_sign_of_life_that_fails_ends_no_upload(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(files, "UPLOAD_TOUCH_SECONDS", 0.0)
    monkeypatch.setattr(database, "_BUSY_MILLISECONDS", 10)
    with running(tmp_path) as bridge, connected(bridge) as connection:
        alice = bridge.person()
        bucket, body = alice.bucket(), multipart(bytes(1000))
        connection.sendall(head(alice, bucket, len(body), alice.token(bucket, "PUSH"), 1000))
        until(bridge, lambda: bridge.sql("SELECT * FROM uploads"))
        with locked(bridge.settings.database_url):
            connection.sendall(body[:-1])
            until(bridge, lambda: "could not be marked as alive" in caplog.text)
        connection.sendall(body[-1:])
        assert connection.recv(65536).startswith(b"HTTP/1.1 200 OK")


def test_a_blob_that_a_store_finishes_late_is_removed_too(own_bridge: Running) -> None:
    alice = own_bridge.person()
    bucket = alice.bucket()
    with own_bridge.without_store():
        assert alice.upload(bucket, b"data").status_code == 503
    ((upload,),) = own_bridge.sql("SELECT id FROM uploads")
    store = Store(own_bridge.settings.database_url)
    cleaning.sweep(store, Blobs(own_bridge.settings.store_location), store.now())
    store.close()
    obstore.put(object_store(own_bridge.settings), f"{upload}/0", b"late")
    cleaned(own_bridge.settings)
    assert empty(own_bridge)


def test_a_store_that_fails_is_told_and_nothing_is_left(own_bridge: Running) -> None:
    alice = own_bridge.person()
    bucket = alice.bucket()
    with own_bridge.without_store():
        for data in (b"data", bytes(20 << 20)):
            reply = alice.upload(bucket, data)
            assert (reply.status_code, reply.json()) == (503, {"error": "The store is not available, try again later"})
    cleaned(own_bridge.settings)
    assert empty(own_bridge)
    assert alice.upload(bucket, b"data").status_code == 200


def test_an_upload_that_cannot_be_given_up_is_cleaned_away_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(database, "_BUSY_MILLISECONDS", 10)
    caplog.set_level(logging.WARNING, "pymdc.bridge")
    with running(tmp_path) as bridge:
        alice = bridge.person()
        bucket = alice.bucket()
        with contextlib.ExitStack() as lock:
            with connected(bridge) as connection:
                body = multipart(bytes(10 << 20))
                connection.sendall(head(alice, bucket, len(body), alice.token(bucket, "PUSH")) + body[:-100])
                until(bridge, lambda: bridge.sql("SELECT * FROM uploads") and bridge.blobs())
                lock.enter_context(locked(bridge.settings.database_url))
            until(bridge, lambda: "is left to the next clean-up" in caplog.text)
        assert bridge.blobs()
        cleaned(bridge.settings)
        assert empty(bridge)


def test_a_defect_is_logged_and_answered(
    bridge: Running, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    alice = bridge.person()
    bucket = alice.bucket()
    monkeypatch.delattr(files, "Entry")
    reply = alice.upload(bucket, b"data")
    assert (reply.status_code, reply.json()) == (500, {"error": "Internal error"})
    assert reply.headers["vary"] == "Origin"
    assert "Traceback" in caplog.text
