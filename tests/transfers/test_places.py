"""The name of a downloaded file, and what happens to a file that is there."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from pymdc.transfers.places import Place, folder_of

from ..farmers import names_in

HASH = "00" * 20


@pytest.fixture
def whole(tmp_path: Path) -> Path:
    path = tmp_path / "kept" / "whole"
    path.parent.mkdir()
    path.write_bytes(b"new")
    return path


def test_the_permissions_of_a_file_that_is_replaced_stay(tmp_path: Path, whole: Path) -> None:
    (tmp_path / "x").touch()
    (tmp_path / "x").chmod(0o4600)
    assert Place.of(tmp_path / "x", None, "n", HASH).take(whole) == tmp_path / "x"
    assert stat.S_IMODE((tmp_path / "x").stat().st_mode) == 0o600
    assert (tmp_path / "x").read_bytes() == b"new"
    assert not whole.exists()


@pytest.mark.parametrize("exists", [None, "replace"])
def test_only_a_regular_file_is_replaced(exists: str | None, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to("pipe")
    for path in (tmp_path / "pipe", tmp_path / "link", Path(os.devnull)):
        with pytest.raises(OSError, match="not a regular file, so it is not replaced"):
            Place.of(path, exists, "n", HASH)
    assert names_in(tmp_path) == ["link", "pipe"]


def test_a_file_that_becomes_something_else_meanwhile_is_not_replaced(tmp_path: Path, whole: Path) -> None:
    place = Place.of(tmp_path / "x", "replace", "n", HASH)
    os.mkfifo(tmp_path / "x")
    with pytest.raises(OSError, match="not a regular file"):
        place.take(whole)
    assert whole.exists()


def test_a_link_to_a_file_stays_and_the_file_is_replaced(tmp_path: Path, whole: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "x").write_bytes(b"old")
    (tmp_path / "link").symlink_to("real/x")
    assert folder_of(tmp_path / "link") == tmp_path / "real"
    assert Place.of(tmp_path / "link", None, "n", HASH).take(whole) == tmp_path / "real" / "x"
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "link").read_bytes() == b"new"


def test_a_link_to_nothing_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("nothing")
    with pytest.raises(FileNotFoundError):
        Place.of(tmp_path / "link", None, "n", HASH)


@pytest.mark.parametrize("thing", ["file", "folder", "pipe", "link"])
@pytest.mark.parametrize("links", [True, False])
def test_a_new_file_gets_a_free_name(
    thing: str, links: bool, tmp_path: Path, whole: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    make = {"file": Path.touch, "folder": Path.mkdir, "pipe": os.mkfifo, "link": lambda path: path.symlink_to("x")}
    make[thing](folder / "n.txt")  # type: ignore[operator]
    (folder / "n (2).txt").touch()
    if not links:  # as on FAT
        monkeypatch.setattr(Path, "hardlink_to", refuse_links)
    assert Place.of(folder, None, ".n.txt", HASH).take(whole) == folder / "n (3).txt"
    assert (folder / "n (3).txt").read_bytes() == b"new"
    assert not whole.exists()
    assert names_in(folder) == ["n (2).txt", "n (3).txt", "n.txt"]


def refuse_links(self: Path, target: Path) -> None:
    if os.path.lexists(self):
        raise PermissionError("no links here") if self.name != "n.txt" else FileExistsError("it is there")
    raise PermissionError("no links here")


def test_a_name_that_is_taken_is_an_error_if_exists_is_error(tmp_path: Path, whole: Path) -> None:
    place = Place.of(tmp_path, "error", "n", HASH)
    (tmp_path / "n").write_bytes(b"old")
    with pytest.raises(FileExistsError) as caught:
        place.take(whole)
    assert caught.value.filename == str(tmp_path / "n")
    with pytest.raises(FileExistsError):
        Place.of(tmp_path, "error", "n", HASH)
    assert (tmp_path / "n").read_bytes() == b"old"


def test_a_file_without_a_name_has_its_hash(tmp_path: Path) -> None:
    assert Place.of(tmp_path, None, None, HASH) == Place(tmp_path / HASH, "rename")
    assert Place.of(tmp_path, None, "x", "../y") == Place(tmp_path / "x", "rename")
    assert folder_of(tmp_path) == folder_of(tmp_path / "x") == tmp_path


def test_a_separator_at_the_end_means_a_folder(tmp_path: Path, whole: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "folder").mkdir()
    for name in ("file", "missing"):
        with pytest.raises(NotADirectoryError):
            Place.of(f"{tmp_path / name}{os.sep}", None, "n", HASH)
    assert Place.of(f"{tmp_path / 'folder'}{os.sep}", None, "n", HASH).take(whole) == tmp_path / "folder" / "n"
