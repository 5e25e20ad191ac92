from __future__ import annotations

import itertools
import json
import logging
import threading
import time
from pathlib import Path

import pytest

from pymdc.bridge import cleaning
from pymdc.bridge.blobs import Blobs
from pymdc.bridge.errors import Unavailable
from pymdc.bridge.store import Store, leftovers
from pymdc.bridge.store.leftovers import Leftovers

from .harness import Running, cleaned, running, until


@pytest.fixture
def _often(monkeypatch: pytest.MonkeyPatch) -> None:
    """A bridge cleans up again and again."""
    monkeypatch.setattr(cleaning, "SWEEP_SECONDS", 0.01)


def health(bridge: Running) -> str:
    return json.dumps(bridge.http.get("/health").json())


@pytest.mark.usefixtures("_often")
def test_the_bridge_cleans_up_after_itself_and_goes_on_after_a_failure(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, "pymdc.bridge")
    with running(tmp_path) as bridge:
        alice = bridge.person()
        bucket = alice.bucket()
        content = alice.upload(bucket, b"data").json()["hash"]
        with bridge.without_store():
            alice.send("DELETE", f"/buckets/{bucket}/files/{content}")
            until(bridge, lambda: "the clean-up failed and will be tried again" in caplog.text)
        until(bridge, lambda: not bridge.blobs() and not bridge.sql("SELECT * FROM garbage"))
        until(bridge, lambda: "cleaning up works again" in caplog.text)


@pytest.mark.usefixtures("_often")
def test_no_error_ends_the_cleaning_up_and_health_tells_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with running(tmp_path) as bridge:
        until(bridge, lambda: "cleaning" not in health(bridge))
        with monkeypatch.context() as defect:
            defect.delattr(Leftovers, "bury")
            until(bridge, lambda: "AttributeError, see the log" in health(bridge))
        until(bridge, lambda: "cleaning" not in health(bridge))
    assert "cleaning up failed" in caplog.text


@pytest.mark.usefixtures("_often")
def test_a_bridge_stops_at_the_next_step_of_a_long_clean_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    begun = threading.Event()

    def endless(leftovers: Leftovers) -> bool:
        begun.set()
        return True

    monkeypatch.setattr(Leftovers, "empty_bucket", endless)
    with running(tmp_path):
        assert begun.wait(30)
    # Leaving the block waits for the bridge to stop.


class Stubborn(Blobs):
    """A store that fails to remove some blobs."""

    def delete(self, name: str) -> None:
        raise Unavailable("The store is not available, try again later")

    def delete_upload(self, upload: str) -> None:
        raise Unavailable("The store is not available, try again later")


def test_blobs_that_cannot_be_removed_are_counted_and_stay_noted(own_bridge: Running) -> None:
    alice = own_bridge.person()
    bucket = alice.bucket()
    for data in (b"one", b"two"):
        content = alice.upload(bucket, data).json()["hash"]
        alice.send("DELETE", f"/buckets/{bucket}/files/{content}")
    own_bridge.sql("INSERT INTO uploads (id, touched, dead) VALUES (?, 0, ?)", "a" * 32, True)
    store = Store(own_bridge.settings.database_url)
    assert cleaning.sweep(store, Stubborn(own_bridge.settings.store_location), store.now()) == 3
    assert len(own_bridge.sql("SELECT * FROM garbage")) == 2
    assert len(own_bridge.sql("SELECT * FROM uploads")) == 1
    store.close()
    cleaned(own_bridge.settings)
    assert own_bridge.sql("SELECT * FROM garbage") == own_bridge.sql("SELECT * FROM uploads") == []


def test_a_folder_that_cannot_be_removed_counts_as_a_failure(
    own_bridge: Running, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if "://" in own_bridge.settings.store_location:
        pytest.skip("needs a folder")
    (Path(own_bridge.settings.store_location) / ("a" * 32)).write_text("a file where a folder should be")
    own_bridge.sql("INSERT INTO uploads (id, touched, dead) VALUES (?, 0, ?)", "a" * 32, True)
    store = Store(own_bridge.settings.database_url)
    assert cleaning.sweep(store, Blobs(own_bridge.settings.store_location), store.now()) == 1
    store.close()
    assert len(own_bridge.sql("SELECT * FROM uploads")) == 1


def test_a_clean_up_that_must_stop_does_nothing_more(own_bridge: Running) -> None:
    alice = own_bridge.person()
    for _ in range(3):
        bucket = alice.bucket()
        alice.upload(bucket, b"data")
        alice.send("DELETE", f"/buckets/{bucket}")
    store = Store(own_bridge.settings.database_url)
    before = len(own_bridge.sql("SELECT * FROM deleted_buckets"))
    cleaning.sweep(store, Blobs(own_bridge.settings.store_location), store.now(), lambda: True)
    assert len(own_bridge.sql("SELECT * FROM deleted_buckets")) >= before - 1
    store.close()


def test_a_deleted_bucket_of_many_files_is_gone_at_once_and_emptied_in_small_steps(
    own_bridge: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leftovers, "_FILES", 10)
    alice = own_bridge.person()
    bucket = alice.bucket()
    for number in range(60):
        alice.upload(bucket, b"%d" % number)
    assert alice.send("DELETE", f"/buckets/{bucket}").status_code == 204
    assert alice.send("GET", f"/buckets/{bucket}/files").status_code == 404
    assert alice.send("GET", "/buckets").json() == []
    store = Store(own_bridge.settings.database_url)
    left = [60]
    while store.leftovers.empty_bucket():
        left.append(own_bridge.sql("SELECT count(*) FROM entries")[0][0])
    store.close()
    assert left[-1] == 0
    assert max(before - after for before, after in itertools.pairwise(left)) <= 25
    assert own_bridge.sql("SELECT * FROM deleted_buckets") == []


def test_many_expired_tokens_are_forgotten_in_one_clean_up(
    own_bridge: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leftovers, "_ROWS", 2)
    alice = own_bridge.person()
    bucket = alice.bucket()
    for _ in range(5):
        alice.token(bucket, "PULL")
    cleaned(own_bridge.settings)
    assert own_bridge.sql("SELECT * FROM tokens") == []


@pytest.mark.usefixtures("_often")
def test_a_clock_that_differs_from_that_of_the_database_is_told_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    told = {60: "this machine's clock is 60 s ahead of the database's", -90: "this machine's clock is 90 s behind the"}
    with running(tmp_path, database=None, store=None) as bridge:
        assert bridge.thread._server is not None
        served = bridge.thread._server.bridge
        for ahead, words in told.items():
            served.store._database._ahead = time.time() - time.monotonic() - ahead
            until(bridge, lambda words=words: words in caplog.text)  # type: ignore[misc]
            cleaned_at = served.condition.cleaned
            until(bridge, lambda before=cleaned_at: served.condition.cleaned > before)  # type: ignore[misc]
            served.store._database._ahead = None
            until(bridge, lambda: not served.condition.clock_differs)
    assert sum("clock is" in message for message in caplog.messages) == len(told)
