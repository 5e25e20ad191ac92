"""The hidden folder in which a download keeps what has come, until the file is whole: `.pymdc-HASH`, beside the file.

One download at a time holds it, by a lock on a file in it; that is so between processes, too.
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
        """See that the names in a folder are on the disk."""
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def kept_folder(parent: Path, file_hash: str) -> Path:
    """Return the folder that keeps what has come of a file which is to stand in `parent`."""
    return parent / f".pymdc-{safe_name(file_hash, 'file')}"


def claim(folder: Path) -> tuple[BinaryIO, bool]:
    """Return the lock of the folder, which is made if it is missing, and `True`; or of a new folder, and `False`.

    A new one serves where another download holds the folder, or another user has made it.

    Raises:
        OSError: no folder can be made there.
    """
    while True:
        new = _made(folder)
        try:
            if not _is_ours(folder):
                break
            lock = _locked(folder)
        except FileNotFoundError:  # who held it has just removed it
            continue
        if lock is None:
            break
        for stray in () if new else _strays(folder):
            _remove_stray(stray)
        return lock, True
    while True:
        fresh = Path(tempfile.mkdtemp(prefix=f"{folder.name}-", dir=folder.parent))
        with suppress(FileNotFoundError):  # another download took it for one that was left behind
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
    """Remove the folder. Its lock goes last: who opens it before finds it held, who comes after makes a new one."""
    for each in folder.iterdir():
        if each.name != "lock":
            with suppress(OSError):  # what is not ours may stay
                each.unlink()
    try:
        (folder / "lock").unlink()
    except PermissionError:  # pragma: no cover - Windows removes no open file
        lock.close()
        (folder / "lock").unlink()
    with suppress(OSError):  # or the next download has come, and holds it
        folder.rmdir()


def discard_kept(parent: Path, file_hash: str) -> bool:
    """Remove what interrupted downloads of a file have kept in a folder. Return whether there was anything.

    Raises:
        BlockingIOError: a download is under way there; what it holds stays.
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
    """Return the lock of a folder, or `None` where somebody holds it.

    Raises:
        FileNotFoundError: somebody has just removed the folder.
    """
    path = folder / "lock"
    with ExitStack() as opened:
        lock = opened.enter_context(path.open("ab"))
        try:
            _lock(lock)
        except OSError:
            return None
        if not os.path.samestat(os.fstat(lock.fileno()), path.stat()):  # it was removed, and another one made
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), os.fspath(path))
        opened.pop_all()
    return lock


def _strays(folder: Path) -> Iterator[Path]:
    """Give the folders of second downloads at once, which go when these end, unless these were killed."""
    return folder.parent.glob(f"{glob.escape(folder.name)}-*")


def _remove_stray(folder: Path) -> bool:
    """Remove a folder that nobody holds. Return `False` where somebody does."""
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
    """Tell whether no other user can have put a link in there, for us to write through."""
    status = folder.lstat()
    return stat.S_ISDIR(status.st_mode) and (not hasattr(os, "geteuid") or status.st_uid == os.geteuid())
