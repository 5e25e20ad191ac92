"""The changes that `sync` and `mirror` make in a folder: never outside it, and never through a link."""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path

from ..transfers.folders import discard_kept
from .failures import Code, Failure
from .local_files import OURS, Scan, checked_parent, remove_empty_folders
from .work import Work, is_hash

__all__ = ["check_target", "copy_file", "delete_files", "place_for", "tidy"]

_OLD_SECONDS = 24 * 3600  # longer than a copy takes


def check_target(folder: Path) -> None:
    """Refuse the home folder and those above it: there, a file such as `.profile` from a bridge would be run."""
    try:
        home = Path.home().resolve()
    except RuntimeError:  # there is no home folder
        return
    if folder.exists() and not folder.is_dir():
        raise Failure(f"{folder} is not a folder", Code.USAGE)
    if folder.resolve() in (home, *home.parents):
        raise Failure(f"{folder} is your home folder, or above it: name a folder of its own", Code.USAGE)


def place_for(folder: Path, path: str, work: Work) -> Path | None:
    """Return the path for a file; or tell what is in its way, and return `None`."""
    if work.dry_run:
        return folder / path
    try:
        place = checked_parent(folder, path)
        if place.is_dir():
            raise IsADirectoryError(f"{os.fspath(place)!r} is a folder, and is left as it is")
    except OSError as error:
        work.problem(str(folder / path), error)
        return None
    return place


def copy_file(source: Path, place: Path, work: Work) -> None:
    """Copy a file that is in the folder already, under another name."""
    if not work.dry_run:
        try:
            with tempfile.TemporaryDirectory(prefix=f"{OURS}copy-", dir=place.parent) as made:
                whole = Path(made, "whole")
                shutil.copyfile(source, whole)
                whole.replace(place)
        except OSError as error:
            work.problem(str(place), error)
            return
    work.tell("copy", str(source), str(place))


def delete_files(folder: Path, paths: list[str], work: Work) -> None:
    for path in paths:
        if not work.dry_run:
            try:
                (folder / path).unlink(missing_ok=True)
            except OSError as error:
                work.problem(str(folder / path), error)
                continue
            remove_empty_folders(folder, path)
        work.tell("removal", str(folder / path))


def tidy(folder: Path, found: Scan, wanted: Collection[str]) -> None:
    """Remove what interrupted commands have left: unfinished downloads that no later command will go on with.

    What a running command uses stays.

    Arguments:
        found: the contents of the folder before.
        wanted: the hashes of the files of this command. Their unfinished downloads stay for the next time.
    """
    for path in found.unfinished:
        kept = folder / path
        file_hash = kept.name.removeprefix(OURS)
        with suppress(OSError):
            if is_hash(file_hash) and file_hash not in wanted:
                discard_kept(kept.parent, file_hash)
            elif not is_hash(file_hash) and kept.stat().st_mtime < time.time() - _OLD_SECONDS:
                shutil.rmtree(kept)
