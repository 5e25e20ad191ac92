"""The file `mirror.json` of a mirror: what a bridge tells about an account, and the paths of its files."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Collection, Iterable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from ..transfers.names import marked, safe_name
from .failures import Code, Failure
from .names import bridge_name
from .plain_files import read_plain
from .sync_plan import paths_of
from .work import entries_of, is_hash

__all__ = ["BUCKETS", "Kept", "Manifest", "check_mirror", "folder_names", "read_json", "write_json"]

BUCKETS = "buckets"
"""The folder of a mirror in which each bucket has a folder."""

_NAME = "mirror.json"
_MEGABYTES = 4096  # that tells of about ten million files
_ABOUT = "What a bridge told of an account. `pymdc mirror` wrote this file; it sends all of it to another bridge, too."


@dataclass(frozen=True)
class Kept:
    """A bucket of a mirror.

    Attributes:
        folder: its folder below `BUCKETS`.
        bucket: its entry in the list of buckets.
        files: the entry of each file in the listing, with its path in the folder as `path`.
    """

    folder: str
    bucket: dict[str, Any]
    files: list[dict[str, Any]]

    @classmethod
    def of(cls, folder: str, bucket: Mapping[str, Any], listing: Iterable[Any], *, fold: bool) -> Kept:
        """Choose the paths of the files of a bucket."""
        files = [{**entry, "path": path} for entry, path in paths_of(entries_of(listing), fold=fold)]
        return cls(folder, dict(bucket), files)

    def place(self, file: Mapping[str, Any]) -> str:
        """Return the path of a file below `BUCKETS`."""
        return f"{self.folder}/{file['path']}"


@dataclass(frozen=True)
class Manifest:
    """The contents of a mirror.

    Attributes:
        bridge, account: the bridge's URL, and the account's e-mail address if it is known.
        keys: the entries of the account's public keys.
        buckets: its buckets.
    """

    bridge: str
    account: str | None
    keys: list[Any]
    buckets: list[Kept] = field(default_factory=list)

    @property
    def places(self) -> set[str]:
        """The paths of its files below `BUCKETS`."""
        return {kept.place(file) for kept in self.buckets for file in kept.files}

    @classmethod
    def read(cls, folder: Path) -> Manifest:
        """Read the manifest of a mirror.

        Raises:
            Failure: the folder has no manifest, or it is damaged.
        """
        path = folder / _NAME
        if not path.exists():
            raise Failure(f"{folder} is not a mirror: it has no {_NAME}", Code.NOT_FOUND)
        value = read_json(path)
        try:
            buckets = [_kept(each) for each in value["buckets"]]
            return cls(str(value["bridge"]), value["account"], list(value["keys"]), buckets)
        except (LookupError, TypeError, ValueError) as error:
            raise Failure(f"{path} is damaged ({type(error).__name__}). To mend it, mirror again") from error

    def write(self, folder: Path) -> None:
        """Write the manifest into the folder of a mirror."""
        write_json(folder / _NAME, {"about": _ABOUT, **asdict(self)})


def check_mirror(folder: Path) -> None:
    """Check that a folder is a mirror, or empty, or new.

    Raises:
        Failure: it holds something else.
    """
    if folder.is_dir() and not (folder / _NAME).exists():
        other = [path for path in folder.iterdir() if path.name != BUCKETS and not path.name.startswith(_NAME)]
        if other:  # else a mirror that was interrupted at its beginning
            raise Failure(f"{folder} holds something else, such as {other[0].name}: name a new folder", Code.USAGE)


def _kept(value: Any) -> Kept:
    """Read a bucket of a manifest. Others may have changed the file, so check that no path leads out of the mirror.

    Raises:
        LookupError, TypeError, ValueError: the value does not describe a bucket.
    """
    kept = Kept(value["folder"], dict(value["bucket"]), [dict(file) for file in value["files"]])
    for file in kept.files:
        if not is_hash(file["hash"]) or {"", ".", ".."} & set(kept.place(file).split("/")):
            raise ValueError("no path below the mirror")
    return kept


def folder_names(buckets: Collection[Mapping[str, Any]]) -> list[str]:
    """Return the name of the folder of each bucket: the bucket's name, with its id if several have that name."""
    names = [safe_name(bridge_name(str(bucket.get("name"))), "bucket") for bucket in buckets]
    keys = [name.casefold() for name in names]
    used: set[str] = set()
    found = []
    for name, key, bucket in zip(names, keys, buckets, strict=True):
        chosen = name if keys.count(key) == 1 else marked(name, f" ({safe_name(str(bucket['id']), 'id')})")
        while chosen.casefold() in used:
            chosen = marked(chosen, "_")
        used.add(chosen.casefold())
        found.append(chosen)
    return found


def read_json(path: Path) -> Any:
    """Read a JSON file.

    Raises:
        Failure: it cannot be read, or is damaged.
    """
    try:
        return json.loads(read_plain(path, _MEGABYTES))
    except (ValueError, RecursionError) as error:
        raise Failure(f"{path} is damaged: it is not JSON") from error


def write_json(path: Path, value: object) -> None:
    """Write a JSON file in one step: a reader sees the old file or the new one.

    Raises:
        OSError: it cannot be written.
    """
    descriptor, name = tempfile.mkstemp(prefix=f"{path.name}-", dir=path.parent)
    try:
        with open(descriptor, "w", encoding="ascii") as file:  # noqa: PTH123 - it is a descriptor
            json.dump(value, file, indent=1)
            file.flush()
            os.fsync(file.fileno())
        Path(name).replace(path)
    except BaseException:
        with suppress(OSError):
            Path(name).unlink()
        raise
