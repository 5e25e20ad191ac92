"""The target of a download: a file is whole or not there, whatever happens meanwhile."""

from __future__ import annotations

import os
import resource
import shutil
import signal
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import pytest

from pymdc.transfers import folders
from pymdc.transfers.places import Place
from pymdc.transfers.targets import FileTarget, MemoryTarget

from ..farmers import hash_of, names_in

SHARDS = [b"first" * 1000, b"second" * 1000, b"third"]
HASHES = [hash_of(shard) for shard in SHARDS]
NAME = "00" * 20


def target_at(path: Path, name: str = NAME) -> FileTarget:
    return FileTarget(Place(path, "replace"), name)


def nothing(body: bytes) -> None:
    pass


def resumed(target: FileTarget) -> list[bytes]:
    """Resume, and give the shards that are there."""
    found: list[bytes] = []
    assert target.resume(HASHES, found.append) == len(found)
    return found


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "file"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / f".pymdc-{NAME}"


@pytest.fixture
def begun(path: Path) -> Path:
    """A path to which a download has got as far as the second of three shards."""
    target = target_at(path)
    target.append(HASHES[0], SHARDS[0])
    target.append(HASHES[1], memoryview(SHARDS[1]))
    target.close()
    return path


def test_memory_gives_the_bytes() -> None:
    target = MemoryTarget()
    assert target.resume(HASHES, nothing) == 0
    assert target.saved(HASHES[0]) is None
    for shard_hash, shard in zip(HASHES, SHARDS, strict=True):
        target.append(shard_hash, memoryview(shard))
    target.save(HASHES[0], b"x")
    assert target.finish() == b"".join(SHARDS)
    target.forget()
    target.close()


def test_a_file_stands_under_its_name_when_it_is_finished_and_not_before(path: Path, tmp_path: Path) -> None:
    target = target_at(path)
    append_all(target)
    assert not path.exists()
    assert target.finish() == path
    assert path.read_bytes() == b"".join(SHARDS)
    target.close()
    assert names_in(tmp_path) == ["file"]


def test_a_file_has_the_mode_that_new_files_have(path: Path) -> None:
    mask = os.umask(0o027)
    try:
        target = target_at(path)
        target.finish()
        target.close()
    finally:
        os.umask(mask)
    assert stat.S_IMODE(path.stat().st_mode) == 0o640


def test_a_later_target_continues_the_earlier_one(begun: Path) -> None:
    target = target_at(begun)
    assert resumed(target) == SHARDS[:2]
    target.append(HASHES[2], SHARDS[2])
    target.finish()
    target.close()
    assert begun.read_bytes() == b"".join(SHARDS)


def test_a_target_can_be_continued_several_times(begun: Path) -> None:
    target = target_at(begun)
    assert resumed(target) == SHARDS[:2]
    target.append(HASHES[2], SHARDS[2])
    target.close()
    again = target_at(begun)
    assert resumed(again) == SHARDS
    again.close()


def test_shards_of_other_pointers_are_not_taken(begun: Path) -> None:
    target = target_at(begun)
    assert target.resume([HASHES[0], HASHES[2]], nothing) == 1
    target.append(HASHES[2], SHARDS[2])
    target.finish()
    target.close()
    assert begun.read_bytes() == SHARDS[0] + SHARDS[2]


@pytest.mark.parametrize(
    ("damage", "good"),
    [
        (lambda whole, journal: (whole[:-1], journal), 1),
        (lambda whole, journal: (b"x" + whole[1:], journal), 0),
        (lambda whole, journal: (whole + b"x", journal), 2),
        (lambda whole, journal: (whole, journal[:-1]), 1),
        (lambda whole, journal: (whole, journal + b"\xff\xff"), 2),
        (lambda whole, journal: (whole, b""), 0),
        (lambda whole, journal: (b"", journal), 0),
        (lambda whole, journal: (whole, b"x" + journal), 0),
        (lambda whole, journal: (whole, journal.replace(b" 5000\n", b" 999999999\n")), 0),
        (lambda whole, journal: (whole, journal.replace(b" 5000\n", b" 99999999999999999999\n")), 0),
        (lambda whole, journal: (whole, journal.replace(b" 5000\n", b" -1\n")), 0),
        (lambda whole, journal: (whole, journal.replace(b" 5000\n", b" 4999\n")), 0),
    ],
)
def test_damaged_shards_are_left_out(
    begun: Path, folder: Path, damage: Callable[[bytes, bytes], tuple[bytes, bytes]], good: int
) -> None:
    whole, journal = damage((folder / "whole").read_bytes(), (folder / "journal").read_bytes())
    (folder / "whole").write_bytes(whole)
    (folder / "journal").write_bytes(journal)
    target = target_at(begun)
    assert resumed(target) == SHARDS[:good]
    for shard_hash, shard in list(zip(HASHES, SHARDS, strict=True))[good:]:
        target.append(shard_hash, shard)
    target.finish()
    target.close()
    assert begun.read_bytes() == b"".join(SHARDS)


def test_a_shard_that_comes_before_its_turn_is_kept(path: Path) -> None:
    target = target_at(path)
    assert target.saved(HASHES[2]) is None
    target.save(HASHES[2], memoryview(SHARDS[2]))
    target.close()
    target = target_at(path)
    assert target.saved(HASHES[2]) == SHARDS[2]
    target.close()


def test_a_kept_shard_that_was_damaged_is_not_taken(path: Path, folder: Path) -> None:
    target = target_at(path)
    target.save(HASHES[2], b"damaged")
    assert target.saved(HASHES[2]) is None
    target.close()


def test_an_empty_folder_is_removed(path: Path, tmp_path: Path) -> None:
    target_at(path).close()
    assert names_in(tmp_path) == []


def test_shards_that_are_not_the_file_are_forgotten(begun: Path, tmp_path: Path) -> None:
    target = target_at(begun)
    target.forget()
    target.close()
    assert names_in(tmp_path) == []


def test_two_downloads_at_once_do_not_share_a_folder(begun: Path, folder: Path, tmp_path: Path) -> None:
    first, second = target_at(begun), target_at(begun)
    assert resumed(first) == SHARDS[:2]
    assert resumed(second) == []
    second.append(HASHES[2], SHARDS[2])
    first.append(HASHES[2], SHARDS[2])
    assert second.finish() == first.finish() == begun
    second.close()
    first.close()
    assert begun.read_bytes() == b"".join(SHARDS)
    assert names_in(tmp_path) == ["file"]


def test_the_folder_of_a_second_download_is_removed_if_it_fails(path: Path, folder: Path, tmp_path: Path) -> None:
    first, second = target_at(path), target_at(path)
    second.append(HASHES[0], SHARDS[0])
    second.close()
    assert names_in(tmp_path) == [folder.name]
    first.close()


def test_a_folder_that_is_removed_while_it_is_claimed_is_made_again(
    path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other download ends between our opening of the lock and our taking it, then before; then another begins."""
    lock, made = folders._lock, Path.mkdir
    moments = ["after opening", "before opening", "another one"]

    def late_lock(file: BinaryIO) -> None:
        if moments and moments[0] == "after opening":
            moments.pop(0)
            (folder / "lock").unlink()
            folder.rmdir()
        elif moments and moments[0] == "another one":
            moments.pop(0)
            (folder / "lock").rename(folder / "old")
            (folder / "lock").touch()
        lock(file)

    def early_mkdir(self: Path, mode: int = 0o777) -> None:
        made(self, mode)
        if moments and moments[0] == "before opening":
            moments.pop(0)
            self.rmdir()
            monkeypatch.setattr(folders, "_is_ours", lambda folder: True)

    monkeypatch.setattr(folders, "_lock", late_lock)
    monkeypatch.setattr(Path, "mkdir", early_mkdir)
    target = target_at(path)
    assert moments == []
    assert folder.is_dir()
    target.finish()
    target.close()


def test_files_of_others_in_the_folder_stay(path: Path, folder: Path) -> None:
    target = target_at(path)
    (folder / "other").mkdir()
    target.finish()
    target.close()
    assert path.exists()
    assert names_in(folder) == ["other"]


def test_a_link_in_place_of_the_folder_is_not_followed(path: Path, folder: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    folder.symlink_to(elsewhere)
    target = target_at(path)
    target.append(HASHES[0], SHARDS[0])
    target.finish()
    target.close()
    assert names_in(elsewhere) == []


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root gives files away")
def test_a_folder_of_another_user_is_not_used(path: Path, folder: Path) -> None:
    folder.mkdir()
    os.chown(folder, 12345, 12345)
    target_at(path).close()
    assert names_in(folder) == []


def test_an_error_while_opening_leaves_nothing_open(path: Path, folder: Path) -> None:
    folder.mkdir()
    (folder / "journal").mkdir()
    with pytest.raises(IsADirectoryError):
        target_at(path)
    target_at(path, "11" * 20).close()


def test_a_folder_that_is_removed_meanwhile_leaves_nothing_open(path: Path, folder: Path) -> None:
    target = target_at(path)
    shutil.rmtree(folder)
    with pytest.raises(FileNotFoundError):
        target.finish()
    with pytest.raises(FileNotFoundError):
        target.close()
    assert target._lock.closed


def test_a_file_that_comes_in_the_way_is_an_error_and_the_shards_stay(path: Path, folder: Path) -> None:
    target = target_at(path)
    target.append(HASHES[0], SHARDS[0])
    path.mkdir()
    with pytest.raises(OSError):
        target.finish()
    target.close()
    path.rmdir()
    target = target_at(path)
    assert resumed(target) == SHARDS[:1]
    target.close()


# Disks that are full, and folders that are read-only


@contextmanager
def limited(size: int) -> Iterator[None]:
    """Let no file grow beyond that size, as on a full disk."""
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, before)


def append_all(target: FileTarget) -> None:
    for shard_hash, shard in zip(HASHES, SHARDS, strict=True):
        target.append(shard_hash, shard)


@pytest.mark.parametrize("room", [0, 1, 4999, 5000, 5001, 10_999])
def test_a_disk_that_becomes_full_keeps_whole_shards(path: Path, room: int) -> None:
    target = target_at(path)
    with limited(room), pytest.raises(OSError):
        append_all(target)
    with limited(room):
        target.save(HASHES[1], SHARDS[1] * 2)  # there is no room for it either
    target.close()
    assert not path.exists()
    target = target_at(path)
    assert resumed(target) == SHARDS[: room >= 5000]
    target.close()


FULL = """
import os, sys
from pathlib import Path
sys.path[:0] = {path!r}
from pymdc.transfers.places import Place
from pymdc.transfers.targets import FileTarget
target = FileTarget(Place(Path(sys.argv[1]) / "file", "replace"), "00" * 20)
try:
    for number in range(100):
        target.append(f"{{number:040}}", os.urandom(100_000))
except OSError as error:
    print(error.errno)
target.close()
"""


@pytest.mark.skipif(sys.platform != "linux" or os.geteuid() != 0, reason="only root mounts")
@pytest.mark.parametrize(("options", "errno"), [("size=1m", "28"), ("ro", "30")])
def test_a_full_file_system_and_a_read_only_one_are_os_errors(tmp_path: Path, options: str, errno: str) -> None:
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", tmp_path], check=False)
    if mounted.returncode:
        pytest.skip("this machine does not let us mount")
    try:
        if options == "ro":
            with pytest.raises(OSError) as caught:
                target_at(tmp_path / "file")
            assert str(caught.value.errno) == errno
        else:
            script = FULL.format(path=[str(Path(folders.__file__).parents[2])])
            done = subprocess.run(
                [sys.executable, "-W", "error", "-c", script, tmp_path], capture_output=True, text=True, check=True
            )
            assert (done.stdout, done.stderr) == (f"{errno}\n", "")
            assert names_in(tmp_path) == [f".pymdc-{NAME}"]
    finally:
        subprocess.run(["umount", tmp_path], check=True)
