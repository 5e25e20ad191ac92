"""The body of an upload: `multipart/form-data`, streamed, with a length that is known before it is read."""

from __future__ import annotations

import hashlib
import mimetypes
import os
import re
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from . import config

__all__ = ["Form", "form", "opened"]

# What would end the header or the quoted name, as browsers escape it (HTML, "multipart/form-data encoding algorithm").
_CONTROLS = re.compile(r"[\x00-\x1f\x7f]")


@dataclass
class Form:
    """One upload's body.

    Iterate over it once, to send it; then `sha256` is the hash of the file's bytes as they were sent.

    Attributes:
        content_type, length: of the whole body; `length` in bytes, exact.
        size: of the file, in bytes.
    """

    file: BinaryIO
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
        before = os.fstat(self.file.fileno())
        yield self.head
        missing = self.size
        while missing:
            chunk = self.file.read(min(missing, config.CHUNK_BYTES))
            if not chunk:
                raise OSError("the file became shorter while it was sent")
            digest.update(chunk)
            missing -= len(chunk)
            yield chunk
        after = os.fstat(self.file.fileno())
        if (self.size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns):
            raise OSError("the file changed while it was sent")
        self.sha256 = digest.hexdigest()
        yield self.tail


@contextmanager
def opened(path: str | os.PathLike[str]) -> Iterator[BinaryIO]:
    """Open a regular file for reading.

    Raises:
        OSError: its subclass for a file that is missing, unreadable or a directory; `OSError` itself for a pipe, a
            socket or a device, which have no size.
    """
    mode = Path(path).stat().st_mode
    if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):  # open() has the right error for a directory
        raise OSError(f"not a regular file: {os.fspath(path)!r}")
    with Path(path).open("rb") as file:
        yield file


def form(file: BinaryIO, name: str, fields: dict[str, str]) -> Form:
    """Return the body of an upload of all of `file`: first the fields, then the file, under its name and MIME type."""
    boundary = secrets.token_hex(16)  # 128 random bits: it does not occur in the file
    kind = mimetypes.guess_type(name)[0] or "application/octet-stream"
    parts = [_part(boundary, f'name="{key}"', "") + value.encode() + b"\r\n" for key, value in fields.items()]
    parts.append(_part(boundary, f'name="file"; filename="{_quoted(name)}"', f"Content-Type: {kind}\r\n"))
    return Form(
        file,
        os.fstat(file.fileno()).st_size,
        b"".join(parts),
        f"\r\n--{boundary}--\r\n".encode("ascii"),
        f"multipart/form-data; boundary={boundary}",
    )


def _part(boundary: str, disposition: str, more: str) -> bytes:
    header = f"--{boundary}\r\nContent-Disposition: form-data; {disposition}\r\n{more}\r\n"
    return header.encode("utf-8", "replace")  # a name from a file system may hold what is no text


def _quoted(name: str) -> str:
    escaped = name.replace("\\", "\\\\").replace('"', '\\"')  # as the parser of the bridges of 2016 reads it
    return _CONTROLS.sub(lambda match: f"%{ord(match[0]):02X}", escaped)
