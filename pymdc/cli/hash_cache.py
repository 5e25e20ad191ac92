"""The hashes of files that were read before, so that an unchanged folder is not read again."""

from __future__ import annotations

import hashlib
import os
import sqlite3
import time
from collections.abc import Callable, Collection
from contextlib import AbstractContextManager, suppress
from pathlib import Path
from types import TracebackType
from typing import Any

from platformdirs import user_cache_path

from ..core.hashes import content_hash
from .local_files import FileState, Scan

__all__ = ["HashCache", "Moved", "cache_folder", "hash_of_file", "hashes_of"]

Moved = Callable[[int], object]
"""Takes the size of a piece that was read, in bytes."""

_CHUNK_BYTES = 1024 * 1024
_YOUNG_NANOSECONDS = 2 * 10**9  # the coarsest file system counts in steps of two seconds
_BUSY_SECONDS = 10.0
_COLUMNS = "size, modified, changed, inode, hash"
_TABLE = f"CREATE TABLE IF NOT EXISTS hashes (folder, path, {_COLUMNS}, PRIMARY KEY (folder, path)) WITHOUT ROWID"


def cache_folder() -> Path:
    """Return the folder for data that can be computed again."""
    return user_cache_path("pymdc", appauthor=False)


class HashCache:
    """The hashes of the files of one folder, by path, size, times and inode.

    A file that was changed within two seconds before it was read is not remembered: a second change in the same tick of
    the file system's clock would not be seen. Without a readable and writable cache, every file is read.

    Arguments:
        folder: the folder of the files.
        place: the folder of the cache. Default: `cache_folder()`.
    """

    def __init__(self, folder: Path, place: Path | None = None) -> None:
        self._folder = os.fsencode(folder.resolve())
        self._database = _opened(place or cache_folder())
        self._known: dict[str, tuple[FileState, str]] = {}
        rows = self._done(f"SELECT path, {_COLUMNS} FROM hashes WHERE folder = ?", self._folder)  # noqa: S608
        for path, size, modified, changed, inode, file_hash in rows:
            self._known[path] = (FileState(size, modified, changed, inode), file_hash)

    def __enter__(self) -> HashCache:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._database is not None:
            self._database.close()

    def get(self, path: str, state: FileState) -> str | None:
        """Return the hash of a file if it has not changed since it was read."""
        known = self._known.get(path)
        return known[1] if known is not None and known[0] == state else None

    def put(self, path: str, state: FileState, file_hash: str, read_at: int) -> None:
        """Remember a hash.

        Arguments:
            read_at: when reading began, in nanoseconds since 1970.
        """
        if max(state.modified, state.changed) > read_at - _YOUNG_NANOSECONDS:
            return
        self._known[path] = (state, file_hash)
        values = (state.size, state.modified, state.changed, state.inode, file_hash)
        self._done("REPLACE INTO hashes VALUES (?, ?, ?, ?, ?, ?, ?)", self._folder, path, *values)

    def keep(self, paths: Collection[str]) -> None:
        """Forget all files of the folder except these."""
        for path in self._known.keys() - set(paths):
            del self._known[path]
            self._done("DELETE FROM hashes WHERE folder = ? AND path = ?", self._folder, path)

    def _done(self, statement: str, *values: object) -> list[Any]:
        if self._database is not None:
            with suppress(sqlite3.Error):
                return self._database.execute(statement, values).fetchall()
        return []


def _opened(place: Path) -> sqlite3.Connection | None:
    try:
        place.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = place / "hashes.sqlite"
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))  # file names are private
        database = sqlite3.connect(path, timeout=_BUSY_SECONDS, isolation_level=None)
        try:
            database.execute("PRAGMA journal_mode = WAL")
            database.execute("PRAGMA synchronous = OFF")  # what a crash loses is read again
            database.execute(_TABLE)
        except sqlite3.Error:
            database.close()
            return None
    except (OSError, sqlite3.Error):
        return None
    return database


def hashes_of(folder: Path, found: Scan, reading: Callable[[int], AbstractContextManager[Moved]]) -> dict[str, str]:
    """Return the hash of each file of a folder, by its path. Only files that have changed are read.

    A file that cannot be read is added to the problems of the scan.

    Arguments:
        reading: called with the number of bytes to read; its context gives a function for the size of each piece.
    """
    with HashCache(folder) as cache:
        cache.keep(found.files)
        remembered = {path: cache.get(path, state) for path, state in found.files.items()}
        known = {path: file_hash for path, file_hash in remembered.items() if file_hash is not None}
        unread = {path: state for path, state in found.files.items() if path not in known}
        with reading(sum(state.size for state in unread.values())) as moved:
            for path, state in unread.items():
                value, began = hash_of_file(folder / path, state, moved)
                if isinstance(value, str):
                    known[path] = value
                    cache.put(path, state, value, began)
                else:
                    found.problems[path] = value.strerror or str(value)
    return known


def hash_of_file(path: Path, state: FileState, moved: Moved) -> tuple[str | OSError, int]:
    """Read a file, and return its hash and when reading began, in nanoseconds since 1970.

    If the file cannot be read or has changed, an error is returned instead of the hash.

    Arguments:
        state: how the file was when it was found.
        moved: called with the size of each piece that was read, in bytes.
    """
    began = time.time_ns()
    digest = hashlib.sha256()
    try:
        with path.open("rb") as file:
            while chunk := file.read(_CHUNK_BYTES):
                digest.update(chunk)
                moved(len(chunk))
            if FileState.of(os.fstat(file.fileno())) != state:
                return OSError("the file changed while it was read"), began
    except OSError as error:
        return error, began
    return content_hash(digest.hexdigest()), began
