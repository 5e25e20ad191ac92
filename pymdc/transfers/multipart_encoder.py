"""The body of an upload: `multipart/form-data`, streamed, with a length that is known before it is read.

Why not httpx's encoder: this one quotes a file's name as the bridges of 2016 read it, begins at the file's current
position, hashes the bytes while it sends them, and notices if the file changes meanwhile.
"""

from __future__ import annotations

import errno
import hashlib
import io
import mimetypes
import os
import re
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, Union

from .. import config

__all__ = ["Form", "Source", "check", "form", "name_of", "opened"]

Source = Union[str, "os.PathLike[str]", bytes, bytearray, memoryview, BinaryIO]
"""A source of an upload: a path, the content as bytes, or an open binary file."""

_NAMELESS = "untitled"  # for content without a name; the bridges of 2016 answer nonsense if there is no name

# Characters that would end the header or the name, and their forms in HTML ("multipart/form-data encoding algorithm").
_CONTROLS = re.compile(r"[\x00-\x1f\x7f]")


@dataclass
class Form:
    """One upload's body.

    Iterate over it once, to send it; then `sha256` is the hash of the file's bytes as they were sent.

    Attributes:
        file, start, size: `size` bytes of the file are sent, from the position `start`.
        content_type, length: those of the whole body; `length` is the exact number of bytes.
    """

    file: BinaryIO
    start: int
    size: int
    head: bytes = field(repr=False)
    tail: bytes = field(repr=False)
    content_type: str
    sha256: str = ""

    @property
    def length(self) -> int:
        return len(self.head) + self.size + len(self.tail)

    def __iter__(self) -> Iterator[bytes]:
        digest = hashlib.sha256()
        self.file.seek(self.start)
        before = _state(self.file)
        yield self.head
        missing = self.size
        while missing:
            asked = min(missing, config.CHUNK_BYTES)
            chunk = self.file.read(asked)
            if not chunk:
                raise self._changed("the file became shorter while it was sent")
            if not isinstance(chunk, bytes | bytearray | memoryview):
                raise TypeError(f"read() must return bytes, not {type(chunk).__name__}")
            if len(chunk) > asked:
                raise OSError("the file object gave more bytes than it was asked for")
            digest.update(chunk)
            missing -= len(chunk)
            yield chunk
        if _state(self.file) != (self.start + self.size, before[1]):
            raise self._changed("the file changed while it was sent")
        self.sha256 = digest.hexdigest()
        yield self.tail

    def _changed(self, words: str) -> OSError:
        """Return the error for a file that another program writes to. It names the file, if that has a name."""
        name = getattr(self.file, "name", None)
        return OSError(errno.EBUSY, words, name if isinstance(name, str | bytes) else None)


def _state(file: BinaryIO) -> tuple[int, int]:
    """Return the size of a file, and the time of its last change, if that is known."""
    position = file.tell()
    size = file.seek(0, os.SEEK_END)  # of a file from gzip.open(), fstat() gives the compressed size
    file.seek(position)
    try:
        status = os.fstat(file.fileno())
    except (OSError, AttributeError):  # a file in memory
        return size, 0
    if not stat.S_ISREG(status.st_mode):
        raise OSError("not a regular file")
    return size, status.st_mtime_ns


def check(source: object, name: object, mimetype: object) -> None:
    """Raise a `TypeError` or a `ValueError`, in the caller's thread, if something cannot be uploaded."""
    file_like = all(hasattr(source, each) for each in ("read", "seek", "tell")) and not isinstance(
        source, io.TextIOBase
    )
    if not file_like and not isinstance(source, str | os.PathLike | bytes | bytearray | memoryview):
        raise TypeError(f"a file is a path, an open binary file, or bytes, not {type(source).__name__}")
    for value, what in ((name, "name"), (mimetype, "MIME type")):
        if value is not None and not isinstance(value, str):
            raise TypeError(f"a {what} is a str, not {type(value).__name__}")
    if isinstance(mimetype, str) and not (mimetype.isascii() and mimetype.isprintable() and mimetype):
        raise ValueError(f"a MIME type is something like 'text/plain', not {mimetype!r}")


def name_of(source: Source) -> str:
    """Return the file's own name, never its path."""
    path = source if isinstance(source, str | os.PathLike) else getattr(source, "name", None)
    return Path(os.fsdecode(path)).name if isinstance(path, str | bytes | os.PathLike) else _NAMELESS


@contextmanager
def opened(source: Source) -> Iterator[BinaryIO]:
    """Open the source of an upload. An open file is used from its current position, and is not closed.

    Raises:
        OSError: its subclass for a file that is missing, unreadable or a directory; `OSError` itself for a pipe, a
            socket or a device, which have no size.
    """
    if isinstance(source, bytes | bytearray | memoryview):
        yield io.BytesIO(source)
    elif isinstance(source, str | os.PathLike):
        mode = Path(source).stat().st_mode
        if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):  # open() has the right error for a directory
            raise OSError(f"not a regular file: {os.fspath(source)!r}")
        with Path(source).open("rb") as file:
            yield file
    else:
        yield source


def form(file: BinaryIO, name: str, mimetype: str | None, fields: dict[str, str]) -> Form:
    """Return the body of an upload of `file`, from its position on: first the fields, then the file, under that name.

    Raises:
        OSError: the file is a pipe, a socket or a device, which have no size.
    """
    boundary = secrets.token_hex(16)  # 128 random bits: it does not occur in the file
    kind = mimetype or mimetypes.guess_type(name)[0] or "application/octet-stream"
    parts = [_part(boundary, f'name="{key}"', "") + value.encode() + b"\r\n" for key, value in fields.items()]
    parts.append(_part(boundary, f'name="file"; filename="{_quoted(name)}"', f"Content-Type: {kind}\r\n"))
    size, _ = _state(file)
    start = min(file.tell(), size)
    return Form(
        file,
        start,
        size - start,
        b"".join(parts),
        f"\r\n--{boundary}--\r\n".encode("ascii"),
        f"multipart/form-data; boundary={boundary}",
    )


def _part(boundary: str, disposition: str, more: str) -> bytes:
    header = f"--{boundary}\r\nContent-Disposition: form-data; {disposition}\r\n{more}\r\n"
    return header.encode("utf-8", "replace")  # a name from a file system may not be valid text


def _quoted(name: str) -> str:
    escaped = name.replace("\\", "\\\\").replace('"', '\\"')  # as the parser of the bridges of 2016 reads it
    return _CONTROLS.sub(lambda match: f"%{ord(match[0]):02X}", escaped)
