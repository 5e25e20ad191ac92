"""Plan the copying of files: which name each one gets, and what happens to a file that has this name already.

A file that is there with the same content is not sent again, so a command that was interrupted can be typed again.
"""

from __future__ import annotations

import errno
import hashlib
import os
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal, NamedTuple

from ..core.hashes import content_hash
from ..transfers.names import numbered
from .names import bridge_name, readable_name
from .results import Result
from .transfers import BucketFiles, Copy, Download, Transfer, Upload

__all__ = [
    "EXISTS",
    "Destination",
    "Exists",
    "Place",
    "Planned",
    "Source",
    "hash_of",
    "plan_copies",
    "plan_downloads",
    "plan_uploads",
]

Exists = Literal["error", "skip", "rename", "replace"]
EXISTS: tuple[Exists, ...] = ("error", "skip", "rename", "replace")
"""What may happen if a file of this name is there with other content."""

_CHUNK_BYTES = 1024 * 1024


@dataclass
class Planned:
    """The plan of a command.

    Attributes:
        transfers: the transfers to run.
        failed: the files that cannot be copied, and why.
        same: how many files are there already, with the same content.
        skipped: how many files are there with other content, and stay, because of `--exists skip`.
    """

    transfers: list[Transfer] = field(default_factory=list)
    failed: list[Result] = field(default_factory=list)
    same: int = 0
    skipped: int = 0


class Place(NamedTuple):
    """The name (a path) that a file gets in a bucket, and the hashes of the files that it replaces."""

    name: str
    replaces: tuple[str, ...] = ()


class Source(NamedTuple):
    """A file of this machine to send.

    Attributes:
        path: the file.
        name: its name in the bucket: a path.
        problem: why it cannot be sent; "" if it can.
    """

    path: Path
    name: str
    problem: str = ""


class Destination:
    """A bucket to which files are sent.

    Arguments:
        bucket: the bucket.
        files: its files.
        exists: what happens if a file of the same name is there.
    """

    def __init__(self, bucket: BucketFiles, files: Iterable[Mapping[str, Any]], exists: Exists) -> None:
        self.bucket = bucket
        self._exists = exists
        self._hashes: dict[str, list[str]] = defaultdict(
            list
        )  # by name; "" for a file of this command that is not sent yet
        self._names: dict[str, str] = {}  # by hash
        self._sizes = Counter[int]()
        for file in files:
            name = readable_name(file.get("filename"))
            self._hashes[name].append(str(file.get("hash")))
            self._names[str(file.get("hash"))] = name
            self._sizes[file.get("size") or 0] += 1

    def expect(self, sizes: Iterable[int]) -> None:
        """Note the sizes of the files that will be sent."""
        self._sizes.update(sizes)

    def may_have(self, size: int) -> bool:
        """Tell whether a file of this size may have the content of another file: then its hash is needed."""
        return self._sizes[size] > 1

    def place(self, name: str, file_hash: str) -> Place | None:
        """Choose the name of a file. Return `None` if `--exists skip` says not to send it.

        Arguments:
            name: the name that a person asks for: a path.
            file_hash: its hash, or "" if no other file has its size.

        Raises:
            _Same: it is there already.
            FileExistsError: another file is in its way.
        """
        if (other := self._names.get(file_hash)) is not None and (other == name or self._exists != "replace"):
            self._refuse_known(name, other)
            return None
        if name not in self._hashes:
            return self._taken(Place(name), file_hash)
        if self._exists == "skip":
            return None
        if self._exists == "rename":
            return self._taken(Place(self._free(name)), file_hash)
        if self._exists == "error" or not all(self._hashes[name]):
            raise _in_the_way(self.bucket.address(bridge_name(name)))
        return self._taken(Place(name, tuple(self._hashes[name])), file_hash)

    def _refuse_known(self, name: str, other: str) -> None:
        if other == name:
            raise _Same
        if self._exists != "skip":
            words = f"the bucket keeps a content once, and has this one as {other}"
            raise FileExistsError(f"{words}. To give it this name instead: --exists replace")

    def _taken(self, place: Place, file_hash: str) -> Place:
        self._hashes[place.name] = [file_hash]
        if file_hash:
            self._names[file_hash] = place.name
        return place

    def _free(self, name: str) -> str:
        folder, slash, last = name.rpartition("/")
        number = 2
        while (free := f"{folder}{slash}{numbered(last, number)}") in self._hashes:
            number += 1
        return free


class _Same(Exception):  # noqa: N818 - it is no error: the file is there already
    pass


def plan_uploads(planned: Planned, sources: Iterable[Source], to: Destination, *, label: str = "") -> None:
    """Plan uploads.

    Arguments:
        label: the name of the file in messages. Default: its path.
    """
    sized = [(source, 0 if source.problem else _size(source.path)) for source in sources]
    to.expect(size for _, size in sized)
    for (path, name, problem), size in sized:
        upload = Upload(path, to.bucket, bridge_name(name), size, (), label)
        if problem:
            planned.failed.append(Result(upload, OSError(problem)))
        else:
            _decide(planned, upload, partial(_placed, upload, name, to))


def plan_copies(
    planned: Planned, bucket: BucketFiles, sources: Iterable[tuple[Mapping[str, Any], str]], to: Destination
) -> None:
    """Plan copies from a bucket to another one.

    Arguments:
        sources: the files, each with its name in the other bucket: a path.
    """
    for file, name in sources:
        copy = Copy(bucket, file, to.bucket, bridge_name(name))
        _decide(planned, copy, partial(_placed, copy, name, to))


def plan_downloads(
    planned: Planned, bucket: BucketFiles, sources: Iterable[tuple[Mapping[str, Any], Path]], exists: Exists
) -> None:
    """Plan downloads.

    Arguments:
        sources: the files, each with its path here. If several have one path, all but the first get numbers.
    """
    taken = {Path(download.target) for download in planned.transfers}
    for file, wanted in sources:
        path, number = wanted, 1
        while path in taken:
            number += 1
            path = wanted.with_name(numbered(wanted.name, number))
        taken.add(path)
        download = Download(bucket, file, path, "error" if exists == "skip" else exists)
        _decide(planned, download, partial(_wanted, download, exists))


def _decide(planned: Planned, transfer: Transfer, decide: Callable[[], Transfer | None]) -> None:
    """Add a transfer to the plan, as `decide` says: it returns the transfer or `None`, or raises as `_placed` does."""
    try:
        decided = decide()
    except _Same:
        planned.same += 1
    except OSError as error:
        planned.failed.append(Result(transfer, error))
    else:
        planned.skipped += decided is None
        planned.transfers += [decided] if decided else []


def _placed(transfer: Upload | Copy, name: str, to: Destination) -> Transfer | None:
    """Return the transfer with its name in the bucket, or `None` if `--exists skip` leaves the file that is there.

    Raises:
        _Same: the file is there already.
        FileExistsError: another file is in its way.
        OSError: it cannot be read.
    """
    if isinstance(transfer, Copy):
        file_hash = str(transfer.file["hash"])
    else:
        file_hash = hash_of(transfer.path) if to.may_have(transfer.size) else ""
    place = to.place(name, file_hash)
    return place and replace(transfer, name=bridge_name(place.name), replaces=place.replaces)


def _wanted(download: Download, exists: Exists) -> Download | None:
    """Return the download, or `None` if `--exists skip` leaves the file that is there.

    Raises:
        _Same: the file is there already.
        FileExistsError: another file is in its way.
        OSError: the file that is there cannot be read.
    """
    path = download.path
    if path.is_dir():
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    if path.exists() and not path.is_file():
        words = f"{path} is a device, a pipe or a socket, not a file"
        raise OSError(f"{words}. To write to standard output: pymdc cat {download.source}")
    if not os.path.lexists(path):
        return download
    if path.is_file() and path.stat().st_size == download.size and hash_of(path) == download.file["hash"]:
        raise _Same
    if exists == "error":
        raise _in_the_way(path)
    return None if exists == "skip" else download


def _in_the_way(what: object) -> FileExistsError:
    return FileExistsError(f"There is {what}, with other content. Say what to do: --exists skip, rename or replace")


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:  # the upload will fail, and say why
        return 0


def hash_of(path: Path) -> str:
    """Return the hash that a bridge gives to this content.

    Raises:
        OSError: it cannot be read.
    """
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            digest.update(chunk)
    return content_hash(digest.hexdigest())
