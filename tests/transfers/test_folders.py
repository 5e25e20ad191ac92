"""The hidden folder that keeps the part of a file that a download has fetched."""

from __future__ import annotations

import errno
import os
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import BinaryIO

import pytest

from pymdc.transfers import folders
from pymdc.transfers.folders import claim, discard_kept, kept_folder, remove

from ..farmers import names_in

HASH = "00" * 20


def test_the_next_download_removes_the_folder_of_a_killed_one(tmp_path: Path) -> None:
    folder = kept_folder(tmp_path, HASH)
    first, shared = claim(folder)
    second, own = claim(folder)
    assert (shared, own) == (True, False)
    stray = Path(second.name).parent
    (stray / "whole").write_bytes(b"much")
    first.close()
    second.close()  # as the system does for a process that was killed
    lock, _ = claim(folder)
    assert not stray.exists()
    remove(folder, lock)
    lock.close()
    assert names_in(tmp_path) == []


def test_the_folder_of_a_running_download_stays(tmp_path: Path) -> None:
    folder = kept_folder(tmp_path, HASH)
    first, _ = claim(folder)
    second, _ = claim(folder)
    first.close()
    with claim(folder)[0]:
        assert len(names_in(tmp_path)) == 2
    second.close()
    assert discard_kept(tmp_path, HASH) is True
    assert names_in(tmp_path) == []


def test_a_folder_that_is_held_is_not_discarded_but_the_others_are(tmp_path: Path) -> None:
    folder = kept_folder(tmp_path, HASH)
    with claim(folder)[0]:
        with claim(folder)[0] as second:
            stray = Path(second.name).parent
        with pytest.raises(BlockingIOError, match="is under way"):
            discard_kept(tmp_path, HASH)
        assert not stray.exists()
        assert folder.exists()
    assert discard_kept(tmp_path, HASH) is True
    assert discard_kept(tmp_path, HASH) is False


def test_a_folder_that_is_not_ours_is_not_discarded(tmp_path: Path) -> None:
    folder, elsewhere = kept_folder(tmp_path, HASH), tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "whole").touch()
    folder.symlink_to(elsewhere)
    (tmp_path / f"{folder.name}-x").symlink_to(elsewhere)
    with claim(folder)[0]:
        pass
    assert discard_kept(tmp_path, HASH) is True  # that of the claim
    folder.unlink()
    folder.mkdir()
    with claim(folder)[0] as lock:
        remove(folder, lock)
    assert discard_kept(tmp_path, HASH) is False
    assert names_in(elsewhere) == ["whole"]


def test_a_folder_with_something_else_in_it_is_told(tmp_path: Path) -> None:
    folder = kept_folder(tmp_path, HASH)
    (folder / "other").mkdir(parents=True)
    with pytest.raises(OSError, match="cannot be removed whole"):
        discard_kept(tmp_path, HASH)


@pytest.mark.parametrize("how", ["removed", "held"])
def test_a_new_folder_that_is_taken_for_a_stray_is_made_anew(
    how: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another download looks for strays between the making of a folder and the taking of its lock."""
    folder, made = kept_folder(tmp_path, HASH), tempfile.mkdtemp
    taken: list[str] = []
    held = ExitStack()

    def mkdtemp(*, prefix: str, dir: Path) -> str:
        path: str = made(prefix=prefix, dir=dir)
        if not taken:
            taken.append(path)
            if how == "removed":
                Path(path).rmdir()
            else:
                held.enter_context(claim(Path(path))[0])
        return path

    monkeypatch.setattr(tempfile, "mkdtemp", mkdtemp)
    with held, claim(folder)[0], claim(folder)[0] as second:
        assert Path(second.name).parent != Path(taken[0])
        assert Path(second.name).exists()


def test_a_file_system_without_locks_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def unsupported(file: BinaryIO) -> None:  # this system has no such file system
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(folders, "_lock", unsupported)
    with pytest.raises(OSError, match=os.strerror(errno.ENOLCK)):
        claim(kept_folder(tmp_path, HASH))


def test_what_another_download_left_in_bad_order_does_not_stop_the_next_one(tmp_path: Path) -> None:
    folder = kept_folder(tmp_path, HASH)
    folder.mkdir()
    (tmp_path / f"{folder.name}-x" / "lock").mkdir(parents=True)
    with claim(folder)[0] as lock:
        assert lock.name == str(folder / "lock")
