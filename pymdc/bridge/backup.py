"""Back up a bridge while it serves, and restore the copy.

A copy is a folder with the SQLite file `bridge.sqlite` and the folder `shards`. The database is copied first, in one
transaction, and then the shards that the copied database names. No bridge removes a shard during a backup.
"""

from __future__ import annotations

import hashlib
import os
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path

from ..core.hashes import content_hash
from .blobs import Blobs
from .errors import Unavailable
from .folder import fsync
from .identity import claim
from .settings import Settings
from .store import Shard, Store
from .store.database import sqlite_file

__all__ = ["backup", "restore"]

_DATABASE, _SHARDS = "bridge.sqlite", "shards"
_JOURNAL_MODE, _WAL = 18, b"\x02"  # the place of the journal mode in an SQLite file, and the mode of bridges
_HOLD_SECONDS = 600  # how long bridges remove no shard; renewed after a tenth of it


def backup(settings: Settings, folder: Path, echo: Callable[[str], None]) -> int:
    """Copy a bridge's database and shards into a folder. Shards that an earlier backup copied are not copied again.

    Arguments:
        echo: called with a line for each shard that could not be copied undamaged.

    Returns:
        How many shards could not be copied undamaged.

    Raises:
        OSError: the folder cannot be made.
        ValueError: the bridge's database is not SQLite, or the folder belongs to a bridge.
        Unavailable: the database or the store is away.
    """
    source = _sqlite_file(settings)
    _require_copy(folder, settings)
    new = folder / f"{_DATABASE}.new"
    with closing(Store(settings.database_url, migrate=False)) as store:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        blobs, copies = Blobs(settings.store_location), Blobs(str(folder / _SHARDS))
        claim(store, copies)
        store.leftovers.hold(_HOLD_SECONDS)
        _copy_database(source, new)
        failed = _copy_shards(new, blobs, copies, echo, lambda: store.leftovers.hold(_HOLD_SECONDS))
    new.replace(folder / _DATABASE)
    fsync(folder)
    _remove_others(folder / _DATABASE, copies)
    return failed


def restore(settings: Settings, folder: Path, echo: Callable[[str], None]) -> int:
    """Make a new bridge from a backup. It never replaces an existing database.

    Arguments:
        echo: called with a line for each shard that could not be copied undamaged.

    Returns:
        How many shards could not be copied undamaged.

    Raises:
        ValueError: there is a database already, or the bridge's database is not SQLite, or the folder is not a copy.
        Unavailable: the store is away.
    """
    source, target = folder / _DATABASE, _sqlite_file(settings)
    if not source.exists():
        raise ValueError(f"{folder} holds no copy of a bridge: name the folder that `backup` wrote to")
    if target.exists():
        raise ValueError(f"{target} exists already and is not replaced: choose another folder with --data")
    settings.data.mkdir(parents=True, exist_ok=True, mode=0o700)
    new = target.with_name(f"{target.name}.new")
    _copy_database(source, new)
    blobs = Blobs(settings.store_location)
    with closing(Store(f"sqlite:///{new}", migrate=False)) as store:
        claim(store, blobs)
    failed = _copy_shards(new, Blobs(str(folder / _SHARDS)), blobs, echo, lambda: None)
    new.replace(target)
    fsync(target.parent)
    return failed


def _require_copy(folder: Path, settings: Settings) -> None:
    """Refuse the folder of a bridge: a bridge that serves would go on in the file that the copy replaces.

    `_copy_database` leaves a copy in another journal mode than a bridge uses. A bridge changes the mode for good.
    """
    with suppress(FileNotFoundError, NotADirectoryError), (folder / _DATABASE).open("rb") as file:
        file.seek(_JOURNAL_MODE)
        if file.read(1) == _WAL:
            raise ValueError(f"{folder} is the data folder of a bridge: choose another folder for the copy")
    store = settings.store_location
    if "://" not in store and folder.resolve().is_relative_to(Path(store).resolve()):
        raise ValueError(f"{folder} is in the store of the bridge: choose another folder for the copy")


def _sqlite_file(settings: Settings) -> Path:
    file = sqlite_file(settings.database_url)
    if file is None:
        raise ValueError("this command copies only a bridge on SQLite; docs/bridge.md says how to copy others")
    return file


def _copy_database(source: Path, target: Path) -> None:
    target.unlink(missing_ok=True)
    os.close(os.open(target, os.O_CREAT | os.O_EXCL, 0o600))
    with closing(sqlite3.connect(source)) as one, closing(sqlite3.connect(target)) as other:
        one.backup(other)  # all pages in one step: with several, a write by a bridge would restart the copy
        other.execute("PRAGMA journal_mode = DELETE")  # so that the copy is one file
    fsync(target)


def _copy_shards(
    database: Path, source: Blobs, target: Blobs, echo: Callable[[str], None], go_on: Callable[[], None]
) -> int:
    failed, due = 0, time.monotonic()
    for shard in _shards(database):
        if time.monotonic() > due:
            go_on()
            due = time.monotonic() + _HOLD_SECONDS / 10
        if target.size(shard.blob) == shard.size:
            continue
        try:
            data = source.content(shard.blob)
        except Unavailable:
            source.check()  # raises if the whole store is away: then the shard is not at fault
            data = b""
        if content_hash(hashlib.sha256(data).hexdigest()) == shard.hash:
            target.put(shard.blob, data)
        else:
            failed += 1
            echo(f"not copied: shard {shard.hash} in {shard.blob} is missing or damaged")
    return failed


def _shards(database: Path) -> Iterator[Shard]:
    with closing(sqlite3.connect(database)) as connection:
        yield from (Shard(*row) for row in connection.execute("SELECT hash, size, blob FROM shards ORDER BY hash"))


def _remove_others(database: Path, copies: Blobs) -> None:
    """Remove the shards that only an earlier backup needed."""
    with closing(sqlite3.connect(database)) as connection:
        for page in copies.pages():
            for name, _ in page:
                needed = connection.execute("SELECT 1 FROM shards WHERE blob = ?", [name]).fetchone()
                if needed is None:
                    copies.delete(name)
