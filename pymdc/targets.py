"""Where a download goes: into memory, or into a file that is whole or not there."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO, Protocol

from .hashes import content_hash

__all__ = ["FileTarget", "MemoryTarget", "Target"]

try:
    import fcntl
except ImportError:  # Windows: whoever opens the file a second time is refused a rename, which is as safe
    fcntl = None  # type: ignore[assignment]


class Target(Protocol):
    """Takes the verified shards of a file in their order."""

    def resume(self, shards: Sequence[str], found: Callable[[bytes], None]) -> int:
        """Return how many of the first shards are there; call `found` with the bytes of each."""

    def kept(self, shard: str) -> bytes | None:
        """Return a later shard that an earlier download had fetched, or `None`."""

    def append(self, shard: str, body: bytes) -> None:
        """Take the next shard."""

    def keep(self, shard: str, body: bytes) -> None:
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
        self._body = bytearray()

    def resume(self, shards: Sequence[str], found: Callable[[bytes], None]) -> int:
        return 0

    def kept(self, shard: str) -> bytes | None:
        return None

    def append(self, shard: str, body: bytes) -> None:
        self._body += body

    def keep(self, shard: str, body: bytes) -> None:
        pass

    def finish(self) -> bytes:
        return bytes(self._body)

    def discard(self) -> None:
        self._body.clear()

    def close(self) -> None:
        pass


class FileTarget:
    """Writes a file by way of a folder beside it, so that it stands under its name when it is whole, and not before.

    The folder, `.pymdc-HASH`, holds the shards that came so far, joined in `whole`, a journal of their hashes and
    sizes, and shards whose turn had not come. A later download of the same file into the same place goes on from there, after
    it has checked each shard again. Two downloads at once do not share it: the second takes a folder of its own.

    Arguments:
        path: the file to write; one that is there is replaced.
        file_hash: the hash of the file.

    Raises:
        OSError: the folder cannot be made.
    """

    def __init__(self, path: Path, file_hash: str) -> None:
        self._path = path
        self._folder = path.parent / f".pymdc-{file_hash}"
        self._folder.mkdir(exist_ok=True)
        self._whole = self._open()
        self._journal = (self._folder / "journal").open("a+", encoding="ascii")

    def _open(self) -> BinaryIO:
        whole = (self._folder / "whole").open("a+b")
        if _locked(whole):
            return whole
        whole.close()
        self._folder = Path(tempfile.mkdtemp(prefix=f"{self._folder.name}-", dir=self._path.parent))
        return (self._folder / "whole").open("a+b")

    def resume(self, shards: Sequence[str], found: Callable[[bytes], None]) -> int:
        self._journal.seek(0)
        lines = self._journal.read().splitlines()
        self._whole.seek(0)
        good = size = 0
        for shard, line in zip(shards, lines, strict=False):
            noted, _, length = line.partition(" ")
            body = self._whole.read(int(length)) if noted == shard and length.isdecimal() else b""
            if not _is(shard, body):
                break
            found(body)
            good += 1
            size += len(body)
        self._whole.truncate(size)
        self._journal.truncate(0)
        self._journal.writelines(f"{line}\n" for line in lines[:good])
        self._journal.flush()
        return good

    def kept(self, shard: str) -> bytes | None:
        try:
            body = (self._folder / shard).read_bytes()
        except OSError:  # most shards are not there
            return None
        return body if _is(shard, body) else None

    def append(self, shard: str, body: bytes) -> None:
        self._whole.write(body)
        self._whole.flush()  # before the journal says so
        self._journal.write(f"{shard} {len(body)}\n")
        self._journal.flush()

    def keep(self, shard: str, body: bytes) -> None:
        with suppress(OSError):  # the download has failed already, and its error is the one to tell
            (self._folder / shard).write_bytes(body)

    def finish(self) -> Path:
        os.fsync(self._whole.fileno())
        self.close()
        (self._folder / "whole").replace(self._path)
        _sync_folder(self._path.parent)
        shutil.rmtree(self._folder, ignore_errors=True)
        return self._path

    def discard(self) -> None:
        self.close()
        shutil.rmtree(self._folder, ignore_errors=True)

    def close(self) -> None:
        self._whole.close()
        self._journal.close()


def _is(shard: str, body: bytes) -> bool:
    return content_hash(hashlib.sha256(body).hexdigest()) == shard


def _locked(file: BinaryIO) -> bool:
    if fcntl is None:
        return True
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _sync_folder(folder: Path) -> None:
    if fcntl is None:  # Windows has no such thing
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
