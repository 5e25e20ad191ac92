"""How `sync` and `mirror` handle errors on this machine."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import click
import pytest

from pymdc.api import Bucket
from pymdc.cli import work as work_module
from pymdc.cli.failures import Code, Failure
from pymdc.cli.local_files import scan
from pymdc.cli.local_steps import check_target, copy_file, delete_files, place_for, tidy
from pymdc.cli.main import cli
from pymdc.cli.results import Summary
from pymdc.cli.session import Session
from pymdc.cli.transfers import BucketFiles, Removal
from pymdc.cli.work import Work, entries_of, interruptible
from pymdc.keypair import ECDSA

from .people import plant, tree

HASH = "0123456789abcdef" * 2 + "01234567"


@pytest.fixture
def work() -> Work:
    return Work(Session(click.Context(cli)), jobs=1, retries=0, dry_run=False)


def test_only_files_that_have_a_hash_count() -> None:
    assert entries_of([1, None, {}, {"hash": 5}, {"hash": "x" * 40}, {"hash": HASH}]) == [{"hash": HASH}]


def test_after_ctrl_c_it_says_how_to_go_on() -> None:
    with pytest.raises(Failure, match="run the same command again") as caught, interruptible():
        raise KeyboardInterrupt
    assert caught.value.exit_code == Code.INTERRUPTED


def test_transfers_that_were_interrupted_end_with_the_code_of_ctrl_c(
    work: Work, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(work_module, "run", lambda *_, **__: Summary(total=3, done=1, interrupted=True))
    with pytest.raises(Failure, match="1 of 3 files are done") as caught:
        work.transfer([Removal(BucketFiles("photos", Bucket({"id": "a" * 24}, ECDSA()).files), {"hash": HASH})])
    assert caught.value.exit_code == Code.INTERRUPTED


def test_a_call_that_failed_is_told_in_words(work: Work, capsys: pytest.CaptureFixture[str]) -> None:
    assert not work.told("key", "the key", {"error": "Key is registered"})
    assert capsys.readouterr().err.startswith("the key: ")
    assert work.failed == 1


def test_a_folder_that_is_gone_is_one_line(work: Work, tmp_path: Path) -> None:
    with pytest.raises(Failure, match="missing") as caught:
        work.read_folder(tmp_path / "missing")
    assert caught.value.exit_code == Code.NOT_FOUND


def test_a_long_reading_is_shown_on_a_terminal(work: Work, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(work_module, "_LONG_BYTES", 1)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    folder = plant(tmp_path / "folder", {"a": b"content"})
    assert list(work.read_folder(folder)[0]) == ["a"]


def test_without_a_home_folder_every_folder_is_accepted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def home() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "home", home)
    check_target(tmp_path)


def test_a_file_or_link_in_the_way_is_told(work: Work, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    plant(tmp_path, {"folder/file": b"", "a": b""})
    assert place_for(tmp_path, "folder", work) is None
    copy_file(tmp_path / "missing", tmp_path / "b", work)
    delete_files(tmp_path, ["folder", "a"], work)
    assert work.failed == 3
    assert tree(tmp_path) == {"folder/file": b""}
    assert capsys.readouterr().err.count("\n") == 3


def test_unfinished_downloads_are_removed_unless_they_will_go_on(tmp_path: Path) -> None:
    wanted = HASH[::-1]
    names = [f".pymdc-{HASH}/whole", f".pymdc-{wanted}/whole", ".pymdc-copy-old/whole", ".pymdc-copy-new/whole"]
    plant(tmp_path, dict.fromkeys(names, b""))
    long_ago = time.time() - 10**6
    os.utime(tmp_path / ".pymdc-copy-old", (long_ago, long_ago))
    tidy(tmp_path, scan(tmp_path), [wanted])
    assert {path.name for path in tmp_path.iterdir()} == {f".pymdc-{wanted}", ".pymdc-copy-new"}
