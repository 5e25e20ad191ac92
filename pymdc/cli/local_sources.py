"""The files of this machine that `cp` and `put` send, each with its name at the bridge."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

from .addresses import Address
from .arguments import is_text
from .failures import Code, Failure
from .local_files import scan_and_tell
from .names import is_folder, joined
from .output import Output
from .plans import Source

__all__ = ["local_sources"]


def local_sources(output: Output, typed: str, to: Address, *, recursive: bool) -> Iterator[Source]:
    """Give the files that one argument means.

    Arguments:
        output: for warnings about files that are left out.
        typed: the argument. A link that is typed stands for its target.
        to: the target.

    Raises:
        Failure: it is a folder without `--recursive`; or a device, a pipe or a socket; or its name cannot be sent.
    """
    path = Path(typed)
    if not path.is_dir():
        _check_is_file(typed, path)
        yield Source(path, _name_for(path, to))
        return
    if not recursive:
        raise Failure(f"{typed} is a folder. To copy it with all that is in it, add -r", Code.USAGE)
    top = _own_name(typed)
    found = scan_and_tell(path, output)
    for below in found.files:
        yield Source(path / below, joined(to.name, top, below))
    for below, words in found.problems_of_sending.items():
        yield Source(path / below, "", words)


def _own_name(folder: str) -> str:
    """Return the name that a folder keeps at the bridge; "" if only the files in it are meant."""
    last = os.path.basename(folder.rstrip("/" + os.sep))  # noqa: PTH119 -- a Path forgets a "." at its end
    if last == ".":
        return ""
    return Path(folder).resolve().name if last == ".." else Path(folder).absolute().name


def _name_for(path: Path, to: Address) -> str:
    """Return the name of a file at the bridge."""
    if not is_folder(to.name):
        return to.name
    if not is_text(path.name):
        better = Address(to.bucket, f"{to.name}NAME")
        raise Failure(f"the name of {path} is not text in UTF-8. Give it another one: {better}", Code.USAGE)
    return joined(to.name, path.name)


def _check_is_file(typed: str, path: Path) -> None:
    """Refuse what has no size and perhaps no end. If there is no such file, the upload says so later.

    Raises:
        Failure: it is a device, a pipe or a socket.
    """
    try:
        mode = path.stat().st_mode
    except OSError:
        return
    if not stat.S_ISREG(mode):
        kind = "a pipe" if stat.S_ISFIFO(mode) else "a socket" if stat.S_ISSOCK(mode) else "a device"
        remedy = f"To send what comes out of it: pymdc put - storj://BUCKET/NAME < {typed}"
        raise Failure(f"{typed} is {kind}, not a file. {remedy}", Code.USAGE)
