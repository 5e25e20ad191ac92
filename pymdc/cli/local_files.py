"""The files of a folder, for `cp`, `sync` and `mirror`: find them, and tell which of them can be kept in a bucket."""

from __future__ import annotations

import os
import stat
import tempfile
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from .failures import Failure, code_of, words_for
from .names import bridge_name, local_path
from .output import Output

__all__ = ["OURS", "FileState", "Scan", "checked_parent", "folds_case", "remove_empty_folders", "scan", "scan_and_tell"]

OURS = ".pymdc-"  # the names of unfinished downloads and of our own temporary folders begin so


@dataclass(frozen=True)
class FileState:
    """What shows that a file has changed: its size in bytes, its times in nanoseconds, and its inode."""

    size: int
    modified: int
    changed: int
    inode: int

    @classmethod
    def of(cls, status: os.stat_result) -> FileState:
        """Return the state of a file."""
        return cls(status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino)


@dataclass
class Scan:
    """The contents of a folder.

    Attributes:
        files: the state of each regular file, by its path below the folder, with "/" between the parts.
        links: the paths of links, devices, pipes and sockets. Links are not followed.
        problems: why a file cannot be read, by its path.
        unfit: the paths of files whose names cannot be kept at a bridge.
        unfinished: the folders that keep unfinished downloads and copies.
    """

    files: dict[str, FileState] = field(default_factory=dict)
    links: list[str] = field(default_factory=list)
    problems: dict[str, str] = field(default_factory=dict)
    unfit: list[str] = field(default_factory=list)
    unfinished: list[str] = field(default_factory=list)

    @property
    def problems_of_sending(self) -> dict[str, str]:
        """Why a file cannot be read or kept at a bridge, by its path."""
        return self.problems | dict.fromkeys(self.unfit, "its name cannot be kept at a bridge: rename it")


def scan(folder: Path) -> Scan:
    """Find all files below a folder. No link is followed.

    Raises:
        OSError: the folder itself cannot be read.
    """
    found = Scan()
    waiting = [("", iter(_entries(folder)))]
    while waiting:
        above, entries = waiting[-1]
        entry = next(entries, None)
        if entry is None:
            waiting.pop()
            continue
        path = above + entry.name
        try:
            below = _take(found, path, entry)
        except OSError as error:
            found.problems[path] = error.strerror or str(error)
        else:
            if below is not None:
                waiting.append((path + "/", iter(below)))
    return found


def scan_and_tell(folder: Path, output: Output) -> Scan:
    """Find all files below a folder, and warn of what is left out.

    Raises:
        Failure: the folder itself cannot be read.
    """
    try:
        found = scan(folder)
    except OSError as error:
        raise Failure(words_for(error), code_of(error)) from error
    if found.links:
        output.warn(f"left out, since links are not followed: {len(found.links)}, such as {folder / found.links[0]}")
    return found


def _entries(folder: str | os.PathLike[str]) -> list[os.DirEntry[str]]:
    with os.scandir(folder) as entries:
        return sorted(entries, key=lambda entry: entry.name)


def _take(found: Scan, path: str, entry: os.DirEntry[str]) -> list[os.DirEntry[str]] | None:
    """Note a file, or return the entries of a folder."""
    if entry.name.startswith(OURS):
        found.unfinished.append(path)
        return None
    if entry.is_dir(follow_symlinks=False):
        return _entries(entry.path)
    if not entry.is_file(follow_symlinks=False):
        found.links.append(path)
    elif local_path(bridge_name(path), "") != path:
        found.unfit.append(path)
    else:
        found.files[path] = FileState.of(entry.stat(follow_symlinks=False))
    return None


def checked_parent(folder: Path, path: str) -> Path:
    """Return the path for a file of a bridge in a folder, and make the folders above it.

    Raises:
        OSError: a link or a file is in the way: through a link, the file would be written outside the folder.
    """
    place = folder
    parts = path.split("/")
    for part in parts[:-1]:
        place = place / part
        try:
            place.mkdir()
        except FileExistsError:
            if not stat.S_ISDIR(place.lstat().st_mode):
                raise NotADirectoryError(f"{os.fspath(place)!r} is not a folder, and is left as it is") from None
    place = place / parts[-1]
    if place.is_symlink():
        raise FileExistsError(f"{os.fspath(place)!r} is a link, and is left as it is")
    return place


def folds_case(folder: Path) -> bool:
    """Tell whether this folder treats names that differ only in their case as one name."""
    with tempfile.TemporaryDirectory(prefix=f"{OURS}case-", dir=folder) as made:
        return os.path.lexists(Path(made).with_name(Path(made).name.upper()))


def remove_empty_folders(folder: Path, path: str) -> None:
    """Remove the folders above a deleted file that are empty now."""
    above = Path(folder, path).parent
    with suppress(OSError):  # something is in it
        while above != folder:
            above.rmdir()
            above = above.parent
