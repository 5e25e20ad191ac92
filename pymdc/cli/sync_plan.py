"""The plans of `sync`, made from two listings. No file is read, and no bridge is called.

Two facts of the API shape the plans. A bucket may hold several files of one name. And it holds each content once: when
the same content is sent under another name, the bridge only renames the file that is there. So if files have equal
content, their names are kept in a file of their own in the bucket, `NAMES_FILE`.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import chain, count
from typing import Any

from ..transfers.names import marked
from .names import bridge_name, local_path

__all__ = [
    "NAMES_FILE",
    "DownPlan",
    "Entry",
    "Names",
    "UpPlan",
    "names_in",
    "names_text",
    "paths_of",
    "plan_down",
    "plan_up",
]

NAMES_FILE = ".pymdc-names.json"
"""The file of a bucket that holds the names of files with equal content."""

Entry = Mapping[str, Any]
"""A file in the listing of a bucket: its `hash`, and its `filename`."""

Names = Mapping[str, Collection[str]]
"""The names of each content at the bridge, by its hash."""


@dataclass(frozen=True)
class UpPlan:
    """The steps that make a bucket equal to a folder.

    Attributes:
        upload: the files to send, by their paths.
        leave: the paths that the bucket has already, with the same content.
        delete: the hashes of the files to delete, each with the hashes that must be in the bucket first.
        names: the names to write into `NAMES_FILE`.
    """

    upload: list[str] = field(default_factory=list)
    leave: list[str] = field(default_factory=list)
    delete: dict[str, set[str]] = field(default_factory=dict)
    names: dict[str, list[str]] = field(default_factory=dict)


@dataclass(frozen=True)
class DownPlan:
    """The steps that make a folder equal to a bucket.

    Attributes:
        clear: the files to delete first: a folder is needed in their place, or a file in the place of their folder.
        download: the hash of each file to fetch, by its path.
        copy: the path of the file with the same content in the folder, by the path to write.
        leave: the paths that are there already, with the same content.
        delete: the paths of the files to delete at the end.
    """

    clear: list[str] = field(default_factory=list)
    download: dict[str, str] = field(default_factory=dict)
    copy: dict[str, str] = field(default_factory=dict)
    leave: list[str] = field(default_factory=list)
    delete: list[str] = field(default_factory=list)


def names_in(text: bytes) -> tuple[int, dict[str, list[str]]]:
    """Return the number and the names that a `NAMES_FILE` holds. The newest file has the highest number.

    Entries of a wrong shape are left out: another program may have written the file.
    """
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return 0, {}
    names, number = (value.get("names"), value.get("number")) if isinstance(value, dict) else (None, None)
    if not isinstance(names, dict) or not isinstance(number, int):
        return 0, {}
    lists = {file_hash: each for file_hash, each in names.items() if isinstance(each, list)}
    return number, {file_hash: [name for name in each if isinstance(name, str)] for file_hash, each in lists.items()}


def names_text(names: Mapping[str, Iterable[str]], number: int) -> bytes:
    """Return the content of a `NAMES_FILE`."""
    told = "Names of files in this bucket whose content is equal. `pymdc sync` wrote this file, and reads it."
    sorted_names = {file_hash: sorted(names[file_hash]) for file_hash in sorted(names)}
    return json.dumps({"about": told, "number": number, "names": sorted_names}, indent=1).encode("ascii")


def plan_up(
    local: Mapping[str, str], listing: Collection[Entry], names: Names, *, delete: bool = False, fold: bool = False
) -> UpPlan:
    """Plan the steps that make a bucket equal to a folder.

    If the folder has other content under the name of a file of the bucket, the file is replaced. Files that the folder
    does not have stay, except with `delete`.

    Arguments:
        local: the hash of each file of the folder, by its path.
        listing: the files of the bucket, without `NAMES_FILE`.
        names: the names in `NAMES_FILE`.
        delete: delete files that the folder does not have.
        fold: the folder treats upper and lower case as equal.
    """
    spots = _spots(listing, names, local, fold)
    origins = {(path, file_hash): origin for (origin, file_hash), path in spots.items()}
    desired: dict[str, set[str]] = defaultdict(set)
    for path, file_hash in local.items():
        desired[file_hash].add(origins.get((path, file_hash), path))
    for (origin, file_hash), path in spots.items():
        if not delete and path not in local:
            desired[file_hash].add(origin)
    own = _own(listing)
    plan = UpPlan()
    for path in sorted(local):
        file_hash = local[path]
        sent = own[file_hash] & desired[file_hash]
        (plan.leave if sent else plan.upload).append(path)
        own[file_hash].add(path)
    for file_hash, paths in desired.items():
        if len(paths) > 1 or not paths & own[file_hash]:
            plan.names[file_hash] = sorted(map(bridge_name, paths))
    for (_, file_hash), path in spots.items():
        if not desired[file_hash]:
            plan.delete.setdefault(file_hash, set()).update({local[path]} if path in local else ())
    return plan


def plan_down(
    local: Mapping[str, str], listing: Collection[Entry], names: Names, *, delete: bool = False, fold: bool = False
) -> DownPlan:
    """Plan the steps that make a folder equal to a bucket.

    If several files of the bucket have one path, or one of them needs a folder where another one is a file, each gets
    the beginning of its hash into its name: `a (1f2e3d4c).txt`.

    Arguments: as for `plan_up`; `delete` is about the files of the folder.
    """
    wanted = {path: file_hash for (_, file_hash), path in _spots(listing, names, (), fold).items()}
    extra = [path for path in sorted(local) if path not in wanted] if delete else []
    needed = {folder for path in wanted for folder in _folders(path)}
    clear = [path for path in extra if path in needed or any(folder in wanted for folder in _folders(path))]
    plan = DownPlan(clear=clear, delete=[path for path in extra if path not in clear])
    stays = {path: local[path] for path in sorted(local) if wanted.get(path, local[path]) == local[path]}
    sources = {file_hash: path for path, file_hash in stays.items() if path not in clear}
    for path in sorted(wanted):
        file_hash = wanted[path]
        if local.get(path) == file_hash:
            plan.leave.append(path)
        elif file_hash in sources:
            plan.copy[path] = sources[file_hash]
        else:
            plan.download[path] = file_hash
            sources[file_hash] = path
    return plan


def paths_of(listing: Collection[Entry], *, fold: bool = False) -> list[tuple[Entry, str]]:
    """Return each file of a bucket with its path in a folder, as `plan_down` chooses it.

    Arguments:
        fold: the folder treats upper and lower case as equal.
    """
    spots = _spots(listing, {}, (), fold)
    return [(entry, spots[local_path(entry.get("filename"), entry["hash"]), entry["hash"]]) for entry in listing]


def _own(listing: Iterable[Entry]) -> dict[str, set[str]]:
    """Return the paths of each content, by its hash, from the names in the listing."""
    own: dict[str, set[str]] = defaultdict(set)
    for entry in listing:
        own[entry["hash"]].add(local_path(entry.get("filename"), entry["hash"]))
    return own


def _spots(listing: Iterable[Entry], names: Names, fixed: Collection[str], fold: bool) -> dict[tuple[str, str], str]:
    """Choose a local path for each file of a bucket; the key is (path of its name, hash).

    A name in `NAMES_FILE` counts if its content is in the listing, and no file of the listing has its path.

    Arguments:
        fixed: paths that stay as they are, even if several files have them.
    """
    own = _own(listing)
    owners: dict[str, set[str]] = defaultdict(set)
    for file_hash, paths in own.items():
        for path in paths:
            owners[path].add(file_hash)
    for file_hash in sorted(own.keys() & names.keys()):
        for path in {local_path(name, file_hash) for name in names[file_hash]} - owners.keys():
            owners[path].add(file_hash)
    return _apart(owners, fixed, fold)


def _apart(owners: Mapping[str, set[str]], fixed: Collection[str], fold: bool) -> dict[tuple[str, str], str]:
    """Give different names to files that would have one path."""
    folders = {_key(folder, fold) for path in owners for folder in _folders(path)}
    rivals = Counter(_key(path, fold) for path, hashes in owners.items() for _ in hashes)
    files = [(path, file_hash) for path in sorted(owners) for file_hash in sorted(owners[path])]
    free = {path for path in owners if rivals[_key(path, fold)] == 1 and _key(path, fold) not in folders}
    spots = {(path, file_hash): path for path, file_hash in files if path in fixed or path in free}
    used = folders | {_key(path, fold) for path in spots.values()}
    for path, file_hash in files:
        if (path, file_hash) not in spots:
            spots[path, file_hash] = next(each for each in _marked(path, file_hash) if _key(each, fold) not in used)
            used.add(_key(spots[path, file_hash], fold))
    return spots


def _marked(path: str, file_hash: str) -> Iterator[str]:
    """Give names for a file whose path is taken: with the beginning of its hash, with all of it, with numbers."""
    folder, slash, name = path.rpartition("/")
    marks = chain([file_hash[:8], file_hash], (f"{file_hash} {number}" for number in count(2)))
    return (folder + slash + marked(name, f" ({mark})") for mark in marks)


def _folders(path: str) -> Iterator[str]:
    """Give the folders above a file, as paths."""
    return (path[: slash.start()] for slash in re.finditer("/", path))


def _key(path: str, fold: bool) -> str:
    """Return a key that is equal for two paths of the same file."""
    return unicodedata.normalize("NFC", path).casefold() if fold else path
