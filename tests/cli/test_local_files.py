"""Finding the files of a folder, and writing into it only where it is safe."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from pymdc.cli.local_files import checked_parent, folds_case, remove_empty_folders, scan

from .people import plant, tree


def test_all_files_are_found_but_those_of_unfinished_downloads(tmp_path: Path) -> None:
    plant(tmp_path, {"b": b"1", "a/c": b"22", ".d": b"", ".pymdc-x/whole": b"", "a/.pymdc-names.json": b""})
    found = scan(tmp_path)
    assert {path: state.size for path, state in found.files.items()} == {"b": 1, "a/c": 2, ".d": 0}
    assert (found.links, found.problems) == ([], {})
    assert found.unfinished == [".pymdc-x", "a/.pymdc-names.json"]


def test_links_and_pipes_are_left_out(tmp_path: Path) -> None:
    plant(tmp_path, {"a/b": b""})
    (tmp_path / "link").symlink_to(tmp_path / "a")
    (tmp_path / "above").symlink_to(tmp_path)
    os.mkfifo(tmp_path / "pipe")
    found = scan(tmp_path)
    assert (list(found.files), found.links) == (["a/b"], ["above", "link", "pipe"])


def test_names_that_a_bridge_cannot_keep_are_problems(tmp_path: Path) -> None:
    for name in (b"\xff", b"line\nbreak", "tur\u202en".encode()):
        with open(os.path.join(os.fsencode(tmp_path), name), "wb"):  # noqa: PTH118, PTH123
            pass
    found = scan(tmp_path)
    assert (len(found.problems_of_sending), found.problems) == (3, {})


def test_a_folder_that_is_gone_or_unreadable_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(FileNotFoundError):
        scan(tmp_path / "missing")
    plant(tmp_path, {"a/b": b"", "c": b""})
    real = os.scandir

    def scandir(path: str | Path) -> object:
        if str(path).endswith("/a"):
            raise PermissionError(13, "Permission denied", path)
        return real(path)

    monkeypatch.setattr(os, "scandir", scandir)
    found = scan(tmp_path)
    assert (list(found.files), found.problems) == (["c"], {"a": "Permission denied"})


def test_the_folders_above_a_file_are_made_but_not_through_a_link(tmp_path: Path) -> None:
    folder = plant(tmp_path / "folder", {"file": b"", "sub/x": b""})
    (folder / "link").symlink_to(tmp_path)
    assert checked_parent(folder, "new/more/name") == folder / "new" / "more" / "name"
    assert (folder / "new" / "more").is_dir()
    assert checked_parent(folder, "sub/x") == folder / "sub" / "x"
    for path in ("link/x", "file/x"):
        with pytest.raises(NotADirectoryError, match="is left as it is"):
            checked_parent(folder, path)
    with pytest.raises(FileExistsError, match="is a link"):
        checked_parent(folder, "link")


def test_empty_folders_go_with_their_last_file(tmp_path: Path) -> None:
    plant(tmp_path, {"a/b/c/d": b"", "a/e": b""})
    (tmp_path / "a/b/c/d").unlink()
    remove_empty_folders(tmp_path, "a/b/c/d")
    assert tree(tmp_path) == {"a/e": b""}
    assert not (tmp_path / "a" / "b").exists()
    (tmp_path / "a/e").unlink()
    remove_empty_folders(tmp_path, "a/e")
    assert list(tmp_path.iterdir()) == []


def test_linux_tells_upper_from_lower_case(tmp_path: Path) -> None:
    assert folds_case(tmp_path) is False
    assert list(tmp_path.iterdir()) == []
