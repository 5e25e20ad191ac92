"""The hidden folder `.pymdc-HASH` beside a file: a download keeps the shards there until the file is whole.

One download at a time uses it, and locks a file in it. The lock also works between processes.
"""

from __future__ import annotations

import errno
import glob
import os
import stat
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import BinaryIO

from .names import safe_name

__all__ = ["claim", "discard_kept", "kept_folder", "remove", "sync_folder"]

try:
    import fcntl
except ImportError:  # pragma: no cover - Windows
    import msvcrt

    def _lock(file: BinaryIO) -> None:
        msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined,unused-ignore]

    def sync_folder(folder: Path) -> None:
        """Windows has no such thing."""

else:

    def _lock(file: BinaryIO) -> None:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)

    def sync_folder(folder: Path) -> None:
        """Make the names in a folder durable on the disk."""
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def kept_folder(parent: Path, file_hash: str) -> Path:
    """Return the folder for the unfinished download of a file into `parent`."""
    return parent / f".pymdc-{safe_name(file_hash, 'file')}"


def claim(folder: Path) -> tuple[BinaryIO, bool]:
    """Lock the folder (made if it is missing), or a new one. Return the lock, and whether it is the first folder.

    A new one is made if another download holds the folder, or if the folder belongs to another user.

    Raises:
        OSError: no folder can be made there.
    """
    while True:
        new = _made(folder)
        try:
            if not _is_ours(folder):
                break
            lock = _locked(folder)
        except FileNotFoundError:  # the download that held it has just removed it
            continue
        if lock is None:
            break
        with suppress(OSError):  # what another download left there is no reason to fail
            for stray in () if new else _strays(folder):
                _remove_stray(stray)
        return lock, True
    while True:
        fresh = Path(tempfile.mkdtemp(prefix=f"{folder.name}-", dir=folder.parent))
        with suppress(FileNotFoundError):  # another download believed that nobody uses it
            lock = _locked(fresh)
            if lock is not None:
                return lock, False


def _made(folder: Path) -> bool:
    """Make a folder, unless it is there."""
    try:
        folder.mkdir(0o700)
    except FileExistsError:
        return False
    return True


def remove(folder: Path, lock: BinaryIO) -> None:
    """Remove the folder, its lock last: until then it is locked for other downloads; then they make a new one."""
    for each in folder.iterdir():
        if each.name != "lock":
            with suppress(OSError):  # files that are not ours may stay
                each.unlink()
    try:
        (folder / "lock").unlink()
    except PermissionError:  # pragma: no cover - Windows removes no open file
        lock.close()
        (folder / "lock").unlink()
    with suppress(OSError):  # unless the next download has begun, and holds it
        folder.rmdir()


def discard_kept(parent: Path, file_hash: str) -> bool:
    """Remove the shards that interrupted downloads of a file have kept in a folder. Return whether there were any.

    Raises:
        BlockingIOError: a download is running there; its shards stay.
        OSError: something cannot be removed.
    """
    folder = kept_folder(parent, file_hash)
    found = [each for each in (folder, *_strays(folder)) if each.is_dir() and _is_ours(each)]
    busy = [each for each in found if not _remove_stray(each)]
    if busy:
        raise BlockingIOError(f"a download into {os.fspath(parent)!r} is under way")
    if left := [each for each in found if each.exists()]:
        raise OSError(f"cannot be removed whole: {os.fspath(left[0])!r}")
    return bool(found)


def _locked(folder: Path) -> BinaryIO | None:
    """Lock a folder and return the lock, or `None` if a download holds it.

    Raises:
        FileNotFoundError: another download has just removed the folder.
        OSError: this file system cannot lock files, or the system refuses.
    """
    path = folder / "lock"
    with ExitStack() as opened:
        lock = opened.enter_context(path.open("ab"))
        try:
            _lock(lock)
        except (BlockingIOError, PermissionError):  # the second on Windows
            return None
        if not os.path.samestat(os.fstat(lock.fileno()), path.stat()):  # it was removed, and another one made
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), os.fspath(path))
        opened.pop_all()
    return lock


def _strays(folder: Path) -> Iterator[Path]:
    """Give the folders of downloads that ran beside another one. A download that is killed leaves its own."""
    return folder.parent.glob(f"{glob.escape(folder.name)}-*")


def _remove_stray(folder: Path) -> bool:
    """Remove a folder, unless a download holds it: then return `False`."""
    with suppress(FileNotFoundError):
        if not _is_ours(folder):
            return True
        lock = _locked(folder)
        if lock is None:
            return False
        with lock:
            remove(folder, lock)
    return True


def _is_ours(folder: Path) -> bool:
    """Tell whether the folder is ours: another user could put a link into theirs, and we would write through it."""
    status = folder.lstat()
    return stat.S_ISDIR(status.st_mode) and (not hasattr(os, "geteuid") or status.st_uid == os.geteuid())
