"""Uploads, downloads, copies and removals: the calls of each, step by step. `engine.run` runs many of them."""

from __future__ import annotations

import errno
import os
import tempfile
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from ..api.files import Files
from ..api.types import Exists
from ..core.delivery import Callback
from ..core.handle import Handle
from ..errors import unwrap
from .addresses import format_address
from .names import readable_name

__all__ = ["BucketFiles", "Copy", "Download", "Moved", "Removal", "Start", "Steps", "Transfer", "Upload", "sendable"]

Start = Callable[[Callback], Handle]
"""Starts one call; its value goes to the callback."""

Steps = Generator[Start, Any, Any]
"""A generator of the calls of a transfer. It is sent the value of each call, and returns the entry of the file. It
raises the error of a call."""

Moved = Callable[[int], object]
"""Takes the number of bytes of a transfer that are done."""


@dataclass(frozen=True)
class BucketFiles:
    """The files of a bucket, and the bucket's name for messages."""

    name: str
    files: Files

    def address(self, name: object) -> str:
        """Return the address of a file of this bucket.

        Arguments:
            name: the file's name at the bridge.
        """
        return format_address(self.name, readable_name(name))


@dataclass(frozen=True, eq=False)
class Upload:
    """Send a file.

    Attributes:
        path: the file.
        bucket: the target.
        name: its name at the bridge; see `names.bridge_name`.
        size: its size in bytes, for the bars.
        replaces: the hashes of files that are deleted when this one is stored.
        label: the name of the file in messages. Default: its path.
        mimetype: its MIME type. Default: the one that fits its name.
    """

    path: Path
    bucket: BucketFiles
    name: str
    size: int = 0
    replaces: tuple[str, ...] = ()
    label: str = ""
    mimetype: str | None = None

    kind = "upload"
    memory = 0  # bytes of the file in memory at a time: an upload is read while it is sent

    @property
    def source(self) -> str:
        return self.label or str(self.path)

    @property
    def target(self) -> str:
        return self.bucket.address(self.name)

    @property
    def work(self) -> int:
        """How many bytes move, for the bars."""
        return self.size

    def steps(self, moved: Moved) -> Steps:
        """Give the calls: see `Steps`."""
        return _send(self.bucket.files, self.path, self.name, self.mimetype, self.replaces, moved)


@dataclass(frozen=True, eq=False)
class _FromBridge:
    """The common part of downloads, copies and removals.

    Attributes:
        bucket: the source.
        file: its entry in the listing of the bucket.
    """

    bucket: BucketFiles
    file: Mapping[str, Any]

    @property
    def size(self) -> int:
        size = self.file.get("size")
        return size if isinstance(size, int) else 0

    @property
    def memory(self) -> int:
        """How many bytes of the file are in memory at a time, at most."""
        return self.size

    @property
    def source(self) -> str:
        return self.bucket.address(self.file.get("filename"))


@dataclass(frozen=True, eq=False)
class Download(_FromBridge):
    """Fetch a file.

    Attributes:
        path: the file to write. Its folder is made if it is missing.
        exists: what happens if there is such a file.
    """

    path: Path
    exists: Exists = "error"

    kind = "download"

    @property
    def target(self) -> str:
        return str(self.path)

    @property
    def work(self) -> int:
        """How many bytes move, for the bars."""
        return self.size

    def steps(self, moved: Moved) -> Steps:
        """Give the calls: see `Steps`."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        if self.path.is_dir():  # `Files.download` would write into it
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(self.path))
        return (yield from _fetch(self.bucket.files, self.file, self.path, self.exists, moved))


@dataclass(frozen=True, eq=False)
class Copy(_FromBridge):
    """Copy a file to another bucket: it is fetched into a temporary file, and sent.

    Attributes:
        to: the target.
        name: its name in the target.
        replaces: the hashes of files there that are deleted when this one is stored.
    """

    to: BucketFiles
    name: str
    replaces: tuple[str, ...] = ()

    kind = "copy"

    @property
    def target(self) -> str:
        return self.to.address(self.name)

    @property
    def work(self) -> int:
        """How many bytes move, for the bars: each one twice."""
        return 2 * self.size

    def steps(self, moved: Moved) -> Steps:
        """Give the calls: see `Steps`."""
        with tempfile.TemporaryDirectory(prefix="pymdc-") as folder:
            path = Path(folder) / "file"
            yield from _fetch(self.bucket.files, self.file, path, "error", moved)
            mimetype = sendable(self.file.get("mimetype"))
            sent = _send(self.to.files, path, self.name, mimetype, self.replaces, lambda done: moved(self.size + done))
            return (yield from sent)


@dataclass(frozen=True, eq=False)
class Removal(_FromBridge):
    """Delete a file of a bucket. No bytes move, but many removals run as transfers do."""

    kind = "removal"
    target = ""
    work = 1  # no bytes move: the bar counts the files

    def steps(self, moved: Moved) -> Steps:
        """Give the calls: see `Steps`."""
        unwrap((yield partial(_delete, self.bucket.files, self.file["hash"])))
        return self.file


Transfer = Upload | Download | Copy | Removal


def _fetch(files: Files, file: Mapping[str, Any], path: Path, exists: Exists, moved: Moved) -> Steps:
    def start(callback: Callback) -> Handle:
        progress = lambda done, _: moved(done)  # noqa: E731
        return files.download(file, callback=callback, path=path, exists=exists, progress=progress)

    return unwrap(_named_as(path, (yield start)))


def _send(files: Files, path: Path, name: str, mimetype: str | None, replaces: tuple[str, ...], moved: Moved) -> Steps:
    def start(callback: Callback) -> Handle:
        progress = lambda done, _: moved(done)  # noqa: E731
        return files.upload(path, callback=callback, name=name, mimetype=mimetype, progress=progress)

    stored = unwrap(_named_as(path, (yield start)))
    for old in replaces:
        if old != stored["hash"]:  # else the content is the same, and the bridge has only renamed its file
            unwrap((yield partial(_delete, files, old)))
    return stored


def _named_as(path: Path, value: Any) -> Any:
    """Return the value of a call with the file named as in `path`: calls name it by its absolute path."""
    whole = path.absolute()
    if isinstance(value, OSError) and value.filename == str(whole):
        value.filename = str(path)
    if isinstance(value, dict) and "path" in value and Path(value["path"]).parent == whole.parent:
        return {**value, "path": str(path.with_name(Path(value["path"]).name))}
    return value


def _delete(files: Files, file_hash: str, callback: Callback) -> Handle:
    return files.delete(file_hash, callback)


def sendable(mimetype: object) -> str | None:
    """Return a MIME type that a bridge sent, if it can be sent to another one."""
    if isinstance(mimetype, str) and mimetype and mimetype.isascii() and mimetype.isprintable():
        return mimetype
    return None
