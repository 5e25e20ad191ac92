"""A store belongs to one database, and is not the empty place of a disk that is missing."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from pymdc.bridge.app import create_app
from pymdc.bridge.blobs import Blobs

from .harness import running


def test_a_bridge_does_not_start_on_an_empty_store_if_its_database_names_shards(tmp_path: Path) -> None:
    store, away = tmp_path / "store", tmp_path / "away"
    with running(tmp_path / "bridge", store=str(store)) as bridge:
        alice = bridge.person()
        bucket = alice.bucket()
        name = alice.upload(bucket, b"data").json()["hash"]
    store.rename(away)
    with pytest.raises(ValueError, match=r"is empty, but the database names shards in it: mount its disk"):
        create_app(bridge.settings)
    assert Blobs(str(store)).identity() is None
    store.rmdir()
    away.rename(store)
    with running(tmp_path / "bridge", store=str(store), database=bridge.settings.database) as bridge:
        again = type(alice)(bridge, alice.email, alice.key)
        assert again.download(bucket, name) == b"data"


def test_the_refusal_says_how_to_start_without_the_lost_shards(tmp_path: Path) -> None:
    store = tmp_path / "store"
    with running(tmp_path / "bridge", store=str(store)) as bridge:
        alice = bridge.person()
        alice.upload(alice.bucket(), b"data")
    identity = (store / "identity").read_text()
    store.rename(tmp_path / "away")
    with pytest.raises(ValueError, match=f"write the text {identity} into a file `identity` there"):
        create_app(bridge.settings)
    (store / "identity").write_text(identity)
    create_app(bridge.settings).state.bridge.store.close()


def test_a_store_of_an_early_release_gets_its_identity(tmp_path: Path) -> None:
    store = tmp_path / "store"
    with running(tmp_path / "bridge", store=str(store)) as bridge:
        alice = bridge.person()
        alice.upload(alice.bucket(), b"data")
    identity = store / "identity"
    before = identity.read_text()
    identity.unlink()
    create_app(bridge.settings).state.bridge.store.close()
    assert identity.read_text() == before


def test_no_upload_is_acknowledged_while_the_disk_of_the_store_is_unmounted(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    store, away = tmp_path / "store", tmp_path / "away"
    with running(tmp_path / "bridge", store=str(store)) as bridge:
        alice = bridge.person()
        bucket = alice.bucket()
        name = alice.upload(bucket, b"before").json()["hash"]
        store.rename(away)
        store.mkdir()
        assert alice.upload(bucket, b"meanwhile").status_code == 503
        assert bridge.http.get("/health").status_code == 503
        assert "has lost its file `identity`: is its disk mounted?" in caplog.text
        assert not [folder for folder, _, files in os.walk(store) if files]
        store.rename(tmp_path / "below")
        away.rename(store)
        assert alice.upload(bucket, b"after").status_code == 200
        assert alice.download(bucket, name) == b"before"
