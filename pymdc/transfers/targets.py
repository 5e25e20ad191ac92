"""Where a download goes: into memory, or into a file that is whole or not there."""

from __future__ import annotations

import errno
import hashlib
import io
import os
import re
import stat
import tempfile
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any, BinaryIO, Protocol

from .. import config
from ..core.hashes import content_hash

__all__ = ["Body", "FileTarget", "MemoryTarget", "Target"]

try:
    import fcntl
except ImportError:  # pragma: no cover - Windows
    import msvcrt

    def _lock(file: BinaryIO) -> None:
        msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined,unused-ignore]

    def _sync_folder(folder: Path) -> None:
        """Windows has no such thing."""

else:

    def _lock(file: BinaryIO) -> None:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)

    def _sync_folder(folder: Path) -> None:
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


Body = bytes | memoryview
"""The bytes of a shard."""

_NOTE = re.compile(rb"([0-9a-f]{40}) ([0-9]{1,9})\n")  # a line of the journal: a shard's hash and size


class Target(Protocol):
    """Takes the verified shards of a file in their order."""

    def resume(self, shards: Sequence[str], found: Callable[[bytes], None]) -> int:
        """Return how many of the first shards are there; call `found` with the bytes of each."""

    def kept(self, shard: str) -> bytes | None:
        """Return a later shard that an earlier download had fetched, or `None`."""

    def append(self, shard: str, body: Body) -> None:
        """Take the next shard."""

    def keep(self, shard: str, body: Body) -> None:
        """Take a shard whose turn had not come when the download failed."""

    def finish(self) -> Any:
        """Make the file whole under its name, and return what the download gives."""

    def discard(self) -> None:
        """Forget all shards: together they are not the file."""

    def close(self) -> None:
        """Let go, whole or not; what is there stays for a later download."""


class MemoryTarget:
    """Gives the file's bytes."""

    def __init__(self) -> None:
        self._body = io.BytesIO()

    def resume(self, shards: Sequence[str], found: Callable[[bytes], None]) -> int:
        return 0

    def kept(self, shard: str) -> bytes | None:
        return None

    def append(self, shard: str, body: Body) -> None:
        self._body.write(body)

    def keep(self, shard: str, body: Body) -> None:
        pass

    def finish(self) -> bytes:
        return self._body.getvalue()

    def discard(self) -> None:
        pass

    def close(self) -> None:
        pass


class FileTarget:
    """Writes a file by way of a folder beside it, so that it stands under its name when it is whole, and not before.

    The folder, `.pymdc-NAME`, holds the shards that came so far, joined in `whole`, a journal of their hashes and
    sizes, and shards whose turn had not come. A later download of the same file into the same place goes on from
    there, after it has checked each shard again. Two downloads at once do not share it: the second takes a folder of
    its own, which goes when it ends.

    Arguments:
        path: the file to write; one that is there is replaced.
        name: the name of the folder, but for its prefix: the file's hash.

    Raises:
        OSError: the folder cannot be made, or `path` is a folder.
    """

    def __init__(self, path: Path, name: str) -> None:
        if path.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), os.fspath(path))
        self._path = path
        self._lock, self._shared = _claimed(path.parent / f".pymdc-{name}")
        self._folder = Path(self._lock.name).parent
        with ExitStack() as opened:
            opened.callback(self._let_go)
            self._whole = opened.enter_context((self._folder / "whole").open("a+b", buffering=0))
            self._journal = opened.enter_context((self._folder / "journal").open("a+b", buffering=0))
            self._opened = opened.pop_all()

    def resume(self, shards: Sequence[str], found: Callable[[bytes], None]) -> int:
        self._journal.seek(0)
        self._whole.seek(0)
        good = size = noted = 0
        for shard, line in zip(shards, self._journal.readlines(), strict=False):
            body = self._next_noted(shard, line)
            if body is None:
                break
            found(body)
            good += 1
            size += len(body)
            noted += len(line)
        self._whole.truncate(size)
        self._journal.truncate(noted)
        return good

    def _next_noted(self, shard: str, line: bytes) -> bytes | None:
        note = _NOTE.fullmatch(line)
        if note is None or note[1].decode("ascii") != shard:
            return None
        body = self._whole.read(min(int(note[2]), config.MAX_SHARD_BYTES))
        return body if _is(shard, body) else None

    def kept(self, shard: str) -> bytes | None:
        try:
            body = (self._folder / shard).read_bytes()
        except OSError:  # most shards are not there
            return None
        return body if _is(shard, body) else None

    def append(self, shard: str, body: Body) -> None:
        _write(self._whole, body)  # before the journal says so
        _write(self._journal, f"{shard} {len(body)}\n".encode("ascii"))

    def keep(self, shard: str, body: Body) -> None:
        with suppress(OSError):  # the download has failed already, and its error is the one to tell
            (self._folder / shard).write_bytes(body)

    def finish(self) -> Path:
        os.fsync(self._whole.fileno())
        self._whole.close()  # Windows renames no open file
        (self._folder / "whole").replace(self._path)  # the lock is held still: nobody else can have opened it
        _sync_folder(self._path.parent)
        self._shared = False
        return self._path

    def discard(self) -> None:
        self._shared = False

    def close(self) -> None:
        self._opened.close()

    def _let_go(self) -> None:
        if not self._shared or self._holds_nothing():
            _remove(self._folder, self._lock)
        self._lock.close()

    def _holds_nothing(self) -> bool:
        sizes = {each.name: each.stat().st_size for each in self._folder.iterdir()}
        return not sizes.pop("journal", 0) and sizes.keys() <= {"lock", "whole"}


def _claimed(folder: Path) -> tuple[BinaryIO, bool]:
    """Return the lock of the folder, which is made if it is missing, and `True`; or of a new folder, and `False`.

    A new one serves where another download holds the folder, or another user has made it.
    """
    while True:
        with suppress(FileExistsError):
            folder.mkdir(0o700)
        try:
            if not _is_ours(folder):
                break
            lock = (folder / "lock").open("ab")
        except FileNotFoundError:  # who held it has just removed it
            continue
        try:
            _lock(lock)
        except OSError:
            lock.close()
            break
        if _is_in_place(lock):
            return lock, True
        lock.close()
    fresh = tempfile.mkdtemp(prefix=f"{folder.name}-", dir=folder.parent)
    return (Path(fresh) / "lock").open("ab"), False


def _is_ours(folder: Path) -> bool:
    """Tell whether no other user can have put a link in there, for us to write through."""
    status = folder.lstat()
    return stat.S_ISDIR(status.st_mode) and (not hasattr(os, "geteuid") or status.st_uid == os.geteuid())


def _is_in_place(lock: BinaryIO) -> bool:
    try:
        return os.path.samestat(os.fstat(lock.fileno()), os.stat(lock.name))  # noqa: PTH116 - as the line reads
    except FileNotFoundError:
        return False


def _remove(folder: Path, lock: BinaryIO) -> None:
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


def _write(file: BinaryIO, body: Body) -> None:
    rest = memoryview(body)
    while rest:  # an unbuffered file may take a part, and tell what is wrong the next time
        rest = rest[file.write(rest) :]


def _is(shard: str, body: Body) -> bool:
    return content_hash(hashlib.sha256(body).hexdigest()) == shard
