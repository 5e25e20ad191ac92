"""Send standard input as a file, and write a file to standard output."""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from .addresses import Address
from .failures import Code, Failure
from .output import Output
from .plans import Planned
from .running import carry_out
from .selection import Shelf, select
from .transfers import Download

__all__ = ["STANDARD", "kept_input", "write_out"]

STANDARD = "-"
"""The argument that means standard input or standard output."""

_CHUNK_BYTES = 1024 * 1024
_NO_STREAM = "there is no standard input or output to use"


@contextmanager
def kept_input() -> Iterator[Path]:
    """Read standard input into a temporary file: an upload must tell its size before it begins."""
    with tempfile.TemporaryDirectory(prefix="pymdc-") as folder:
        path = Path(folder) / "input"
        with path.open("wb") as file:
            shutil.copyfileobj(_binary(sys.stdin), file, _CHUNK_BYTES)
        yield path


def write_out(output: Output, shelf: Shelf, addresses: Iterable[Address], *, jobs: int, retries: int) -> None:
    """Write files to standard output, one after the other.

    Each is fetched into a temporary file first, and checked.

    Raises:
        Failure: there is no such file, or it cannot be fetched; or the shell has closed the output.
    """
    if sys.__stdout__ is None:  # `sys.stdout` is then a stream that keeps nothing
        raise Failure(_NO_STREAM, Code.USAGE)
    for address in addresses:
        if not address.name:
            raise Failure(f"{address} is a bucket: name a file in it", Code.USAGE)
        for file in select(shelf.files(address.bucket), address):
            with tempfile.TemporaryDirectory(prefix="pymdc-") as folder:
                path = Path(folder) / "file"
                planned = Planned([Download(shelf.bucket(address.bucket), file, path)])
                carry_out(output, planned, jobs=jobs, retries=retries, data=False, again="Run the command again.")
                with path.open("rb") as content:
                    shutil.copyfileobj(content, _binary(sys.stdout), _CHUNK_BYTES)
    sys.stdout.flush()


def _binary(stream: object) -> BinaryIO:
    """Return the binary stream under a text stream.

    Raises:
        Failure: the program was started without it.
    """
    binary: BinaryIO | None = getattr(stream, "buffer", None)
    if binary is None:
        raise Failure(_NO_STREAM, Code.USAGE)
    return binary
