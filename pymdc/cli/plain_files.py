"""Read a file that a person may have named: a plain one, and not too large."""

from __future__ import annotations

import os
import stat
from functools import partial
from itertools import islice
from pathlib import Path

from .failures import Code, Failure

__all__ = ["open_at_once", "read_plain", "read_text"]

_MEGABYTE = 1024 * 1024


def open_at_once(path: str, flags: int) -> int:
    """Open a file as `opener` of `open`: do not wait until another program opens the other end of a pipe."""
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))  # Windows has no such flag, and no such files


def read_plain(path: Path, megabytes: int = 1) -> bytes:
    """Return the bytes of a plain file. A device could have no end, and a pipe nobody who writes to it.

    Arguments:
        megabytes: how large it may be.

    Raises:
        FileNotFoundError: it is not there.
        Failure: it is something else than a file, or too large, or cannot be read.
    """
    try:
        with open(path, "rb", opener=open_at_once) as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise _unreadable(path, "it is a device or a pipe, and not a file")
            pieces = list(islice(iter(partial(file.read, _MEGABYTE), b""), megabytes + 1))
    except FileNotFoundError:
        raise
    except OSError as error:
        raise _unreadable(path, error.strerror or str(error)) from error
    if len(pieces) > megabytes:
        raise _unreadable(path, f"it is larger than {megabytes} MB")
    return b"".join(pieces)


def read_text(path: Path) -> str:
    """Return the text of a plain file in UTF-8 of at most 1 MB.

    Raises:
        FileNotFoundError: it is not there.
        Failure: it cannot be read, or is no text; see `read_plain`.
    """
    try:
        return read_plain(path).decode("utf-8")
    except UnicodeDecodeError as error:
        raise _unreadable(path, "it is not text in UTF-8") from error


def _unreadable(path: Path, why: str) -> Failure:
    return Failure(f"{path} cannot be read: {why}", Code.USAGE)
