"""Blobs as files in a folder. They survive a loss of power, and reading them does not block the event loop.

A blob `upload/number` is the file `number` in the folder `upload`. Until it is complete it has a temporary name.

obstore could write these files too, and reads the S3 store of `objects.py`. It is not used here because it does not
call fsync, so a blob that was acknowledged could be lost with the power; and because each of its reads goes through a
thread, where most of ours find the bytes in memory.
"""

from __future__ import annotations

import errno
import hashlib
import os
import re
import secrets
import shutil
from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime, timezone
from pathlib import Path

from anyio import to_thread

from .objects import IDENTITY
from .settings import BLOB_BYTES, HASH_BYTES, READ_AHEAD_BYTES

__all__ = ["FileWriter", "Folder", "fsync"]

_TEMPORARY = "#1"  # the end of a temporary name: obstore leaves such names out when it lists a folder
_UPLOAD = re.compile("[0-9a-f]{32}")
_NO_WAIT: int = getattr(os, "RWF_NOWAIT", 0)  # a flag that only Linux has


class Folder:
    """A folder of blobs, made if missing. Every method but `read` blocks, and may raise `OSError`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._marked = (path / IDENTITY).exists()

    def writer(self, name: str) -> FileWriter:
        """Begin a blob. Its upload's folder is made where it is missing."""
        final = self.path / name
        temporary = final.with_name(final.name + _TEMPORARY)
        try:
            return FileWriter(temporary, final)
        except FileNotFoundError:
            final.parent.mkdir(mode=0o700)
            return FileWriter(temporary, final)

    def mark(self, name: str, data: bytes) -> None:
        """Keep a small file that is no blob, for its owner alone."""
        final = self.path / name
        writing = FileWriter(final.with_name(f"{name}-{secrets.token_hex(8)}{_TEMPORARY}"), final)
        writing.write([data])
        writing.commit()
        fsync(self.path)
        self._marked = True

    def settle(self, upload: str) -> None:
        """Make the names of an upload's blobs durable, and that of their folder."""
        fsync(self.path / upload)
        fsync(self.path)  # last: on a disk with a journal, the first call has already written this name too
        self._require_identity()

    async def read(self, name: str, start: int, stop: int | None) -> AsyncGenerator[bytearray, None]:
        """Yield the bytes of a blob from `start` up to `stop`, or to its end, in pieces of at most `BLOB_BYTES`."""
        descriptor = await to_thread.run_sync(os.open, self.path / name, os.O_RDONLY)
        try:
            while stop is None or start < stop:
                piece = bytearray(BLOB_BYTES if stop is None else min(BLOB_BYTES, stop - start))
                size = _read_cached(descriptor, piece, start)
                if size is None:
                    size = await to_thread.run_sync(_read_from_disk, descriptor, piece, start)
                if not size:
                    return
                del piece[size:]
                start += size
                yield piece
        finally:
            os.close(descriptor)

    def urls(self, names: Sequence[str], seconds: int) -> None:
        """Return `None`: files in a folder have no URLs, so clients get them from the bridge."""

    def digest(self, name: str) -> str:
        """Return the SHA-256 of a blob, in hex."""
        digest, buffer = hashlib.sha256(), memoryview(bytearray(HASH_BYTES))
        with open(f"{self.path}/{name}", "rb", buffering=0) as file:  # noqa: PTH123 -- a Path costs more than the call
            while size := file.readinto(buffer):
                digest.update(buffer[:size])
        return digest.hexdigest()

    def delete(self, name: str) -> None:
        """Remove a blob, and its upload's folder when that is empty. A blob that is not there is no error."""
        path = self.path / name
        path.unlink(missing_ok=True)
        with suppress(OSError):
            path.parent.rmdir()

    def delete_upload(self, upload: str) -> None:
        """Remove every blob of an upload, and files that a killed process has left incomplete."""
        with suppress(FileNotFoundError):
            shutil.rmtree(self.path / upload)

    def pages(self) -> Iterator[list[tuple[str, datetime | None]]]:
        """Yield the names in the folder, some at a time, and when each was written.

        The time is `None` for anything that is not a blob. Folders that are not of an upload are not searched.
        """
        with os.scandir(self.path) as found:
            for item in found:
                if _UPLOAD.fullmatch(item.name) and item.is_dir(follow_symlinks=False):
                    yield list(_files(item))
                else:
                    yield [(item.name, None)]

    def check(self) -> None:
        """Raise an `OSError` if blobs cannot be written."""
        # `access` also knows a file system that is mounted read-only, and asks for the superuser too.
        if not os.access(f"{self.path}/.", os.R_OK | os.W_OK | os.X_OK):
            raise PermissionError(f"{self.path} cannot be written to")
        self._require_identity()

    def _require_identity(self) -> None:
        """Raise an `OSError` if the disk was unmounted: what was written since lies in the empty place below it."""
        if self._marked and not (self.path / IDENTITY).exists():
            raise OSError(f"{self.path} has lost its file `{IDENTITY}`: is its disk mounted?")


class FileWriter:
    """A blob that is being written."""

    def __init__(self, temporary: Path, final: Path) -> None:
        self._temporary = temporary
        self._final = final
        self._descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)

    def write(self, pieces: Sequence[bytes]) -> None:
        """Add pieces, at most `PIECES` of them."""
        left = [memoryview(piece) for piece in pieces]
        with self._named():
            while left:
                written = os.writev(self._descriptor, left)
                while left and written >= len(left[0]):
                    written -= len(left.pop(0))
                if written:  # the system may have written only a part
                    left[0] = left[0][written:]

    def commit(self) -> None:
        """Make the blob durable under its name. The name itself is durable after `Folder.settle`."""
        with self._named():
            os.fsync(self._descriptor)
        self._temporary.rename(self._final)
        self.close()

    def discard(self) -> None:
        """Remove what was written."""
        self.close()
        self._temporary.unlink()

    def close(self) -> None:
        """Close the file. Closing it again does nothing."""
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor != -1:
            os.close(descriptor)

    @contextmanager
    def _named(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            error.filename = str(self._final)  # the log then says which disk it was
            raise


def fsync(path: Path) -> None:
    """Make a file durable, or the names in a folder."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _files(folder: os.DirEntry[str]) -> Iterator[tuple[str, datetime | None]]:
    with suppress(FileNotFoundError), os.scandir(folder) as found:  # a clean-up may just have removed it
        for item in found:
            with suppress(FileNotFoundError):
                written = datetime.fromtimestamp(item.stat(follow_symlinks=False).st_mtime, timezone.utc)
                is_file = item.is_file(follow_symlinks=False)
                yield f"{folder.name}/{item.name}", written if is_file else None


def _read_cached(descriptor: int, piece: bytearray, start: int) -> int | None:
    """Read what the system has in memory. `None`: it has nothing there, or cannot tell."""
    if not _NO_WAIT:
        return None
    try:
        return os.preadv(descriptor, [piece], start, _NO_WAIT)
    except OSError as error:
        if error.errno in (errno.EAGAIN, errno.EOPNOTSUPP):  # on the disk, or a file system that cannot tell
            return None
        raise


def _read_from_disk(descriptor: int, piece: bytearray, start: int) -> int:
    if _NO_WAIT:  # the next pieces will then be in memory
        os.posix_fadvise(descriptor, start, READ_AHEAD_BYTES, os.POSIX_FADV_WILLNEED)
    return os.preadv(descriptor, [piece], start)
