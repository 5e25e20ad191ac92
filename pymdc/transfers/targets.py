"""The targets of downloads: memory, or a file that gets its name when it is complete."""

from __future__ import annotations

import hashlib
import io
import os
import re
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any, BinaryIO, Protocol

from .. import config
from ..core.hashes import content_hash
from .folders import claim, kept_folder, remove, sync_folder
from .places import Place
from .shards import Body

__all__ = ["FileTarget", "MemoryTarget", "Target"]

_NOTE = re.compile(rb"([0-9a-f]{40}) ([0-9]{1,9})\n")  # a line of the journal: a shard's hash and size


class Target(Protocol):
    """Takes the verified shards of a file in their order."""

    def resume(self, shards: Sequence[str], found: Callable[[bytes], None]) -> int:
        """Return how many of the first shards are there; call `found` with the bytes of each."""

    def saved(self, shard: str) -> bytes | None:
        """Return a shard that was fetched before its turn and kept, or `None`."""

    def append(self, shard: str, body: Body) -> None:
        """Add the next shard."""

    def save(self, shard: str, body: Body) -> None:
        """Save a shard for later: the download failed before its turn, or its place in the file is not known yet."""

    def split(self) -> None:
        """Save all appended shards for later, and start again: in another order they may be the file."""

    def finish(self) -> Any:
        """Complete the file under its name, and return the result of the download."""

    def forget(self) -> None:
        """Drop all shards when the target is closed: together they are not the file."""

    def close(self) -> None:
        """Close all files. The shards of an unfinished file stay for a later download."""


class MemoryTarget:
    """Gives the file's bytes."""

    def __init__(self) -> None:
        self._body = io.BytesIO()
        self._notes: list[tuple[str, int]] = []
        self._saved: dict[str, bytes] = {}

    def resume(self, shards: Sequence[str], found: Callable[[bytes], None]) -> int:
        return 0

    def saved(self, shard: str) -> bytes | None:
        return self._saved.get(shard)

    def append(self, shard: str, body: Body) -> None:
        self._body.write(body)
        self._notes.append((shard, len(body)))

    def save(self, shard: str, body: Body) -> None:
        if shard not in self._saved:
            self._saved[shard] = bytes(body)

    def split(self) -> None:
        self._body.seek(0)
        self._saved |= {shard: self._body.read(size) for shard, size in self._notes}
        self._body, self._notes = io.BytesIO(), []

    def finish(self) -> bytes:
        return self._body.getvalue()

    def forget(self) -> None:
        pass

    def close(self) -> None:
        pass


class FileTarget:
    """Writes a file into a hidden folder beside it, and gives it its name when it is complete.

    The folder `.pymdc-NAME` has the file `whole` with the shards that have arrived, a journal with their hashes and
    sizes, and saved shards. A later download of the same file to the same place checks these shards and continues from
    there. Two downloads at once do not share the folder: the second one makes its own, which is removed at its end.

    Arguments:
        place: the file to write.
        file_hash: names the folder.

    Raises:
        OSError: the folder cannot be made.
    """

    def __init__(self, place: Place, file_hash: str) -> None:
        self._place = place
        self._lock, self._shared = claim(kept_folder(place.path.parent, file_hash))
        self._folder = Path(self._lock.name).parent
        with ExitStack() as opened:
            opened.enter_context(self._lock)
            opened.callback(self._release)
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
        return body if _matches(shard, body) else None

    def saved(self, shard: str) -> bytes | None:
        try:
            body = (self._folder / shard).read_bytes()
        except OSError:  # most shards are not there
            return None
        return body if _matches(shard, body) else None

    def append(self, shard: str, body: Body) -> None:
        _write(self._whole, body)  # before the journal says so
        _write(self._journal, f"{shard} {len(body)}\n".encode("ascii"))

    def save(self, shard: str, body: Body) -> None:
        path = self._folder / shard
        with suppress(OSError):  # the download has failed already and reports that error; or the same error comes again
            if not path.exists() or path.stat().st_size != len(body):
                path.write_bytes(body)

    def split(self) -> None:
        self._journal.seek(0)
        self._whole.seek(0)
        for line in self._journal.readlines():  # each is good: a new download leaves out what is not
            shard, size = line.decode("ascii").split()
            self.save(shard, self._whole.read(int(size)))
        self._whole.truncate(0)
        self._journal.truncate(0)

    def finish(self) -> Path:
        os.fsync(self._whole.fileno())
        self._whole.close()  # Windows renames no open file
        path = self._place.take(self._folder / "whole")  # still locked: nobody else can have opened the file
        sync_folder(path.parent)
        self._shared = False
        return path

    def forget(self) -> None:
        self._shared = False

    def close(self) -> None:
        self._opened.close()

    def _release(self) -> None:
        if not self._shared or self._holds_nothing():
            remove(self._folder, self._lock)

    def _holds_nothing(self) -> bool:
        sizes = {each.name: each.stat().st_size for each in self._folder.iterdir()}
        return not sizes.pop("journal", 0) and sizes.keys() <= {"lock", "whole"}


def _write(file: BinaryIO, body: Body) -> None:
    rest = memoryview(body)
    while rest:  # an unbuffered file may take only a part, and report the error at the next write
        rest = rest[file.write(rest) :]


def _matches(shard: str, body: Body) -> bool:
    return content_hash(hashlib.sha256(body).hexdigest()) == shard
