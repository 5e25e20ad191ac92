from __future__ import annotations

import threading
from pathlib import Path

import pytest
from click.testing import CliRunner

from pymdc.bridge import backup as module
from pymdc.bridge.settings import Settings
from pymdc.cli.main import cli

from ..engines import shared_s3
from .chaos.audit import audit
from .harness import cleaned, running

NO_BRIDGE = ["--database", "postgresql+psycopg://postgres@127.0.0.1:1/x"]


def command(data: Path, *arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(cli, ["bridge", "--data", str(data), *arguments])
    return result.exit_code, result.output


@pytest.fixture
def served(tmp_path: Path) -> Path:
    return tmp_path / "bridge"


def on_sqlite(data: Path) -> Settings:
    return Settings(data=data, port=0)


def test_a_bridge_is_copied_while_files_come_and_go_and_its_copy_is_whole(tmp_path: Path, served: Path) -> None:
    copy, elsewhere = tmp_path / "copy", tmp_path / "elsewhere"
    with running(served, database=None, store=None) as bridge:
        alice = bridge.person()
        bucket = alice.bucket()
        kept = [alice.upload(bucket, b"%d" % number).json()["hash"] for number in range(20)]
        over = threading.Event()

        def work() -> None:
            number = 100
            while not over.is_set():
                number += 1
                name = alice.upload(bucket, b"%d" % number).json()["hash"]
                alice.send("DELETE", f"/buckets/{bucket}/files/{name}").raise_for_status()
                cleaned(bridge.settings)

        worker = threading.Thread(target=work)
        worker.start()
        try:
            for _ in range(3):
                assert command(served, "backup", str(copy)) == (0, f"Copied to {copy}.\n")
        finally:
            over.set()
            worker.join()
    assert command(elsewhere, "restore", str(copy)) == (0, f"Restored to {elsewhere}.\n")
    assert (elsewhere / "bridge.sqlite").stat().st_mode & 0o777 == 0o600
    code, output = command(elsewhere, "check")
    assert (code, " 0 wrong, 0 orphaned" in output) == (0, True), output
    assert audit(on_sqlite(elsewhere)) == []
    with running(elsewhere, database=None, store=None) as bridge:
        again = type(alice)(bridge, alice.email, alice.key)
        listed = {file["hash"] for file in again.send("GET", f"/buckets/{bucket}/files").json()}
        assert set(kept) <= listed
        assert again.download(bucket, kept[0]) == b"0"


def test_a_later_copy_adds_new_files_and_drops_deleted_ones(tmp_path: Path, served: Path) -> None:
    copy = tmp_path / "copy"
    with running(served, database=None, store=None) as bridge:
        alice = bridge.person()
        bucket = alice.bucket()
        first = alice.upload(bucket, b"first").json()["hash"]
        command(served, "backup", str(copy))
        alice.send("DELETE", f"/buckets/{bucket}/files/{first}")
        second = alice.upload(bucket, b"second").json()["hash"]
        command(served, "backup", str(copy))
        (blob,) = bridge.sql("SELECT blob FROM shards WHERE hash = ?", second)[0]
    assert sorted(path.name for path in (copy / "shards").iterdir()) == sorted(["identity", blob[:32]])


def test_a_shard_that_cannot_be_copied_undamaged_is_reported(tmp_path: Path, served: Path) -> None:
    with running(served, database=None, store=None) as bridge:
        alice = bridge.person()
        bucket = alice.bucket()
        for data in (b"lost", b"damaged"):
            alice.upload(bucket, data)
        blobs = dict(bridge.sql("SELECT size, blob FROM shards"))
        bridge.lose(blobs[4])
        (served / "shards" / blobs[7]).write_bytes(b"DAMAGED")
        code, output = command(served, "backup", str(tmp_path / "copy"))
    assert (code, output.count("not copied: shard ")) == (1, 2)
    assert output.endswith("2 shards are missing or damaged.\n")


def test_no_blob_is_removed_while_a_copy_is_made(served: Path) -> None:
    with running(served, database=None, store=None) as bridge:
        alice = bridge.person()
        bucket = alice.bucket()
        name = alice.upload(bucket, b"data").json()["hash"]
        alice.send("DELETE", f"/buckets/{bucket}/files/{name}")
        command(served, "backup", str(served / "copy"))
        cleaned(bridge.settings)
        assert len(bridge.blobs()) == 1
        bridge.sql("UPDATE bridge SET held = 0")
        cleaned(bridge.settings)
        assert bridge.blobs() == []


def test_a_long_copy_renews_its_hold_on_the_blobs(
    served: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_HOLD_SECONDS", 0)
    with running(served, database=None, store=None) as bridge:
        alice = bridge.person()
        alice.upload(alice.bucket(), b"data")
        assert command(served, "backup", str(tmp_path / "copy"))[0] == 0


def test_an_existing_file_is_not_replaced(served: Path, tmp_path: Path) -> None:
    with running(served, database=None, store=None):
        pass
    copy = tmp_path / "copy"
    assert command(served, "backup", str(copy))[0] == 0
    code, output = command(served, "restore", str(copy))
    assert (code, "exists already and is not replaced" in output) == (1, True)
    code, output = command(tmp_path / "new", "restore", str(tmp_path))
    assert (code, "holds no copy of a bridge" in output) == (1, True)


def test_a_copy_replaces_no_data_of_a_bridge(tmp_path: Path, served: Path) -> None:
    copy = tmp_path / "copy"
    with running(served, database=None, store=None) as bridge:
        alice = bridge.person()
        bucket = alice.bucket()
        alice.upload(bucket, b"first")
        assert command(served, "backup", str(copy))[0] == 0
        with running(copy, database=None, store=None):  # the copy is a bridge itself now
            for folder in (served, copy):
                code, output = command(served, "backup", str(folder))
                assert (
                    code,
                    output.endswith("is the data folder of a bridge: choose another folder for the copy\n"),
                ) == (
                    1,
                    True,
                ), output
        for folder in (served / "shards", served / "shards" / "copy"):
            code, output = command(served, "backup", str(folder))
            assert (code, "is in the store of the bridge" in output) == (1, True), output
        assert alice.upload(bucket, b"second").status_code == 200
    with running(served, database=None, store=None) as bridge:
        again = type(alice)(bridge, alice.email, alice.key)
        assert len(again.send("GET", f"/buckets/{bucket}/files").json()) == 2


def test_a_bridge_on_an_object_store_is_copied(tmp_path: Path, served: Path) -> None:
    with running(served, database=None, store=shared_s3().create("copied")) as bridge:
        alice = bridge.person()
        alice.upload(alice.bucket(), b"data")
        assert command(served, "--store", bridge.settings.store_location, "backup", str(tmp_path / "copy"))[0] == 0
    assert len(list((tmp_path / "copy" / "shards").glob("*/0"))) == 1


@pytest.mark.parametrize("name", ["backup", "restore"])
def test_backup_refuses_a_bridge_on_another_database(served: Path, tmp_path: Path, name: str) -> None:
    code, output = command(served, *NO_BRIDGE, name, str(tmp_path / "copy"))
    assert (code, "this command copies only a bridge on SQLite" in output) == (1, True)


def test_missing_steps_are_shown_and_made(served: Path) -> None:
    served.mkdir()
    (served / "bridge.sqlite").touch()
    code, shown = command(served, "migrate", "--show")
    assert (code, shown.startswith("0001: The tables of the first release.\n")) == (0, True)
    assert shown.endswith("steps are missing.\n")
    code, output = command(served, "check")
    assert (code, "the database lacks" in output) == (2, True)
    assert command(served, "migrate") == (0, shown.replace("are missing", "were made"))
    assert command(served, "migrate", "--show") == (0, "0 steps are missing.\n")
    assert command(served, "users", "list") == (0, "")


def test_a_copy_that_has_no_place_is_refused_in_one_line(served: Path) -> None:
    with running(served, database=None, store=None):
        assert command(served, "backup", "/dev/null/copy") == (1, "Error: /dev/null/copy: Not a directory\n")


def test_a_folder_without_a_bridge_cannot_be_copied(served: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    assert command(served, "backup", str(copy)) == (1, f"Error: no bridge has its data in {served}\n")
    assert not served.exists()
    assert not copy.exists()
