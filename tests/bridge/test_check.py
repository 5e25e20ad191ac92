from __future__ import annotations

import errno
import time
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import closing
from datetime import datetime, timedelta, timezone
from pathlib import Path

import obstore
import pytest

from pymdc.bridge import check as module
from pymdc.bridge.app import create_app
from pymdc.bridge.blobs import Blobs
from pymdc.bridge.check import Findings, check
from pymdc.bridge.errors import Unavailable
from pymdc.bridge.repair import remove, repair
from pymdc.bridge.store import Shard, Store

from ..engines import shared_s3
from .harness import Running, cleaned, file_hash, object_store, settings_for

NOBODY, LIVE, GONE = "0123" * 8, "a" * 32, "b" * 32


@pytest.fixture
def engines(own_bridge: Running) -> Iterator[tuple[Store, Blobs]]:
    """The database and the store of a bridge that is serving."""
    store = Store(own_bridge.settings.database_url)
    yield store, Blobs(own_bridge.settings.store_location)
    store.close()


def found(engines: tuple[Store, Blobs]) -> Findings:
    return check(*engines, lambda line: None)


def blob_of(bridge: Running, data: bytes) -> str:
    return str(bridge.sql("SELECT blob FROM shards WHERE hash = ?", file_hash(data))[0][0])


def overwrite(bridge: Running, name: str, data: bytes) -> None:
    """Change a blob in the store, from outside."""
    obstore.put(object_store(bridge.settings), name, data)


def test_a_check_of_a_good_bridge_finds_nothing(own_bridge: Running, engines: tuple[Store, Blobs]) -> None:
    assert found(engines) == Findings()
    alice = own_bridge.person()
    bucket = alice.bucket()
    for number in range(20):
        alice.upload(bucket, b"%d" % number)
    alice.upload(bucket, bytes(9 << 20))
    assert found(engines) == Findings(22, 30 + (9 << 20))


def test_missing_and_damaged_shards_are_found_with_their_files(
    own_bridge: Running, engines: tuple[Store, Blobs]
) -> None:
    alice = own_bridge.person()
    bucket = alice.bucket()
    for data in (b"one", b"two", b"three", b"four"):
        alice.upload(bucket, data, "a\tfile.txt")
    own_bridge.lose(blob_of(own_bridge, b"one"))
    overwrite(own_bridge, blob_of(own_bridge, b"two"), b"TWO")
    overwrite(own_bridge, blob_of(own_bridge, b"three"), b"thre")
    lines: list[str] = []
    findings = check(*engines, lines.append)
    file = f'"a\\tfile.txt" in bucket {bucket} of {alice.email}'
    assert sorted(findings.wrong) == sorted(
        f"{verdict}: shard {file_hash(data)} in {blob_of(own_bridge, data)}, of {file}"
        for verdict, data in [("missing", b"one"), ("damaged", b"two"), ("damaged", b"three")]
    )
    assert lines == findings.wrong
    assert (findings.shards, findings.orphans) == (4, [])


def test_counts_that_do_not_agree_are_found(own_bridge: Running, engines: tuple[Store, Blobs]) -> None:
    alice = own_bridge.person()
    bucket, empty = alice.bucket(), alice.bucket()
    alice.upload(bucket, b"data")
    own_bridge.sql("UPDATE buckets SET stored = stored + 1")
    own_bridge.sql('UPDATE contents SET "references" = 2')
    own_bridge.sql('UPDATE shards SET "references" = 3')
    name = file_hash(b"data")
    assert sorted(found(engines).wrong) == sorted([
        f"miscounted: bucket {bucket}: 5 noted, 4 found",
        f"miscounted: bucket {empty}: 1 noted, 0 found",
        f"miscounted: file {name}: 2 noted, 1 found",
        f"miscounted: shard {name}: 3 noted, 1 found",
    ])  # fmt: skip


@pytest.mark.parametrize("lost", ["entries", "content_shards"])
def test_a_lost_shard_that_no_file_uses_is_given_up(
    own_bridge: Running, engines: tuple[Store, Blobs], lost: str
) -> None:
    alice = own_bridge.person()
    bucket = alice.bucket()
    alice.upload(bucket, b"data")
    own_bridge.sql("DELETE FROM entries")
    if lost == "content_shards":
        own_bridge.sql("DELETE FROM content_shards")
        own_bridge.sql("DELETE FROM contents")
    assert repair(*engines, found(engines), lambda line: None) == 0
    assert own_bridge.sql("SELECT hash FROM shards") == own_bridge.sql("SELECT hash FROM contents") == []
    assert found(engines) == Findings()
    cleaned(own_bridge.settings)
    assert own_bridge.blobs() == []


def test_orphans_are_found_and_removed_when_they_are_old(
    own_bridge: Running, engines: tuple[Store, Blobs], monkeypatch: pytest.MonkeyPatch
) -> None:
    overwrite(own_bridge, f"{NOBODY}/0", b"nobody's")
    overwrite(own_bridge, f"{NOBODY}/1", b"nobody's")
    findings = found(engines)
    assert (findings.orphans, findings.old, findings.wrong) == (
        [f"{NOBODY}/0", f"{NOBODY}/1"],
        [],
        [],
    )
    monkeypatch.setattr(module, "UPLOAD_LEASE_SECONDS", -60)
    findings = found(engines)
    assert findings.old == [f"{NOBODY}/0", f"{NOBODY}/1"]
    remove(*engines, findings.old)
    assert found(engines) == Findings()


def test_a_blob_that_is_being_uploaded_or_removed_is_not_an_orphan(
    own_bridge: Running, engines: tuple[Store, Blobs], monkeypatch: pytest.MonkeyPatch
) -> None:
    own_bridge.sql("INSERT INTO uploads (id, touched, dead) VALUES ('" + LIVE + "', 9999999999999, ?)", False)
    own_bridge.sql("INSERT INTO garbage (blob) VALUES (?)", f"{GONE}/0")
    for name in (f"{LIVE}/0", f"{GONE}/0"):
        overwrite(own_bridge, name, b"data")
    assert found(engines).orphans == []
    remove(*engines, [f"{LIVE}/0"])
    assert f"{LIVE}/0" in own_bridge.blobs()


class Changing(Blobs):
    """A store that changes while it is checked."""

    def pages(self, skip: Callable[[str], None] = print) -> Iterator[list[tuple[str, datetime]]]:
        yield [("swept/0", datetime.now(timezone.utc) - timedelta(days=1))]


def test_a_shard_that_changes_during_a_check_is_checked_again(
    own_bridge: Running, engines: tuple[Store, Blobs], monkeypatch: pytest.MonkeyPatch
) -> None:
    alice = own_bridge.person()
    bucket = alice.bucket()
    content = alice.upload(bucket, b"data").json()["hash"]
    store, _ = engines
    own_bridge.lose(blob_of(own_bridge, b"data"))
    assert len(found(engines).wrong) == 1
    holds = store.inventory.holds

    def deleted_meanwhile(shard: Shard) -> bool:
        alice.send("DELETE", f"/buckets/{bucket}/files/{content}")
        return holds(shard)

    monkeypatch.setattr(store.inventory, "holds", deleted_meanwhile)
    assert check(store, Changing(own_bridge.settings.store_location), lambda line: None) == Findings(1, 4)


def test_a_shard_that_belongs_to_no_file_is_reported_as_such(own_bridge: Running, engines: tuple[Store, Blobs]) -> None:
    own_bridge.sql("INSERT INTO shards (hash, size, blob, \"references\") VALUES ('s', 1, 'b/0', 0)")
    assert found(engines).wrong == ["missing: shard s in b/0, of no file"]


class Unreadable(Blobs):
    """A store on a disk with a bad sector."""

    async def read(self, name: str, start: int = 0, stop: int | None = None) -> AsyncGenerator[bytes | bytearray, None]:
        yield b"d"
        raise Unavailable("The store is not available") from OSError(errno.EIO, "Input/output error")


def test_a_shard_that_cannot_be_read_is_told_from_a_store_that_is_away(
    own_bridge: Running, engines: tuple[Store, Blobs]
) -> None:
    alice = own_bridge.person()
    alice.upload(alice.bucket(), b"data")
    (wrong,) = check(engines[0], Unreadable(own_bridge.settings.store_location), lambda line: None).wrong
    assert wrong.startswith("unreadable: ")
    with own_bridge.without_store(), pytest.raises(Unavailable):
        found(engines)


def test_a_broken_shard_is_marked_and_the_next_upload_mends_it(
    own_bridge: Running, engines: tuple[Store, Blobs]
) -> None:
    alice = own_bridge.person()
    bucket, other = alice.bucket(), alice.bucket()
    content = alice.upload(bucket, b"data").json()["hash"]
    overwrite(own_bridge, blob_of(own_bridge, b"data"), b"DATA")
    assert len(found(engines).broken) == 1
    assert alice.upload(other, b"data").status_code == 200
    assert alice.download(bucket, content) == b"data"
    assert found(engines).wrong == []


@pytest.mark.parametrize("lost", ["missing", "short"])
def test_an_upload_mends_a_shard_that_is_missing_or_short_before_any_check(own_bridge: Running, lost: str) -> None:
    alice = own_bridge.person()
    bucket = alice.bucket()
    content = alice.upload(bucket, b"data").json()["hash"]
    if lost == "missing":
        own_bridge.lose(blob_of(own_bridge, b"data"))
    else:
        overwrite(own_bridge, blob_of(own_bridge, b"data"), b"dat")
    assert alice.upload(bucket, b"data").status_code == 200
    assert alice.download(bucket, content) == b"data"


@pytest.mark.parametrize("where", [f"{NOBODY}/0", f"{GONE}/0"])
def test_a_shard_is_repaired_from_a_copy_in_the_store(
    own_bridge: Running, engines: tuple[Store, Blobs], where: str
) -> None:
    alice = own_bridge.person()
    bucket = alice.bucket()
    content, lost = (alice.upload(bucket, data).json()["hash"] for data in (b"data", b"lost"))
    for data in (b"data", b"lost"):
        own_bridge.lose(blob_of(own_bridge, data))
    overwrite(own_bridge, where, b"data")
    own_bridge.sql("INSERT INTO garbage (blob) VALUES (?)", f"{GONE}/0")
    lines: list[str] = []
    assert repair(*engines, found(engines), lines.append) == 1
    assert lines[0] == f"repaired: shard {content}"
    assert lines[1].startswith(f"not repaired: shard {lost}; ")
    assert alice.download(bucket, content) == b"data"
    assert [shard.hash for shard in found(engines).broken] == [lost]


def test_counts_are_put_right(own_bridge: Running, engines: tuple[Store, Blobs]) -> None:
    alice = own_bridge.person()
    bucket = alice.bucket()
    alice.upload(bucket, b"data")
    own_bridge.sql("UPDATE buckets SET stored = stored + 1")
    own_bridge.sql('UPDATE contents SET "references" = 2')
    own_bridge.sql('UPDATE shards SET "references" = 3')
    lines: list[str] = []
    assert repair(*engines, found(engines), lines.append) == 0
    name = file_hash(b"data")
    assert lines == [f"repaired: the count of {what}" for what in (f"shard {name}", f"file {name}", f"bucket {bucket}")]
    assert found(engines) == Findings(1, 4)


def test_the_wrong_database_removes_nothing(own_bridge: Running, engines: tuple[Store, Blobs], tmp_path: Path) -> None:
    alice = own_bridge.person()
    alice.upload(alice.bucket(), b"data")
    before = own_bridge.blobs()
    with closing(Store(f"sqlite:///{tmp_path / 'other.sqlite'}")) as other:
        findings = check(other, engines[1], lambda line: None)
        assert findings.orphans == before
        with pytest.raises(ValueError, match="does not belong to this database"):
            remove(other, engines[1], findings.orphans)
        with pytest.raises(ValueError, match="does not belong to this database"):
            repair(other, engines[1], findings, lambda line: None)
    assert own_bridge.blobs() == before


def test_a_bridge_refuses_the_store_of_another_one(own_bridge: Running, tmp_path: Path) -> None:
    wrong = settings_for(tmp_path / "other", store=own_bridge.settings.store_location)
    with pytest.raises(ValueError, match="the store belongs to the database of another bridge"):
        create_app(wrong)


def test_objects_that_no_bridge_has_made_are_skipped_and_reported(
    own_bridge: Running, engines: tuple[Store, Blobs]
) -> None:
    if "://" in own_bridge.settings.store_location:
        pytest.skip("needs a folder")
    folder = Path(own_bridge.settings.store_location)
    (folder / "lost+found").mkdir()
    (folder / "a\nname").write_text("x")
    (folder / NOBODY).mkdir()
    (folder / NOBODY / "notes.txt").write_text("x")
    (folder / NOBODY / "1").mkdir()
    findings = found(engines)
    assert sorted(findings.skipped) == sorted([f"{NOBODY}/1", f"{NOBODY}/notes.txt", "a\nname", "lost+found"])
    assert (findings.orphans, findings.wrong) == ([], [])


def test_a_check_reads_no_faster_than_its_pace(own_bridge: Running, engines: tuple[Store, Blobs]) -> None:
    alice = own_bridge.person()
    alice.upload(alice.bucket(), bytes(1 << 20))
    began = time.monotonic()
    check(*engines, lambda line: None, pace=4 << 20)
    assert time.monotonic() - began >= 0.25


def test_an_object_store_is_listed_and_keeps_its_identity() -> None:
    blobs = Blobs(shared_s3().create("listed"))
    assert blobs.identity() is None
    blobs.mark("somebody")
    for name in (f"{NOBODY}/0", "other"):
        blobs.put(name, b"data")
    skipped: list[str] = []
    assert [name for page in blobs.pages(skipped.append) for name, _ in page] == [f"{NOBODY}/0"]
    assert (skipped, blobs.identity()) == (["other"], "somebody")
