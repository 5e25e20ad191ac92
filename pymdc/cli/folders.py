"""The files below a folder of this machine."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from .output import Output

__all__ = ["files_below"]


def files_below(folder: Path, output: Output) -> Iterator[tuple[Path, str]]:
    """Give all files below a folder, each with its path below it ("a/b.txt"), in the order of their names.

    A link to a file is that file. A link to a folder is not followed, and what is no file is left out, with a warning.
    So is what cannot be read. What unfinished downloads keep is left out.
    """

    def unreadable(error: OSError) -> None:
        output.warn(f"{error.filename} is left out: {error.strerror}")

    for parent, folders, names in os.walk(folder, onerror=unreadable):
        for link in sorted(name for name in folders if (Path(parent) / name).is_symlink()):
            output.warn(f"{Path(parent) / link} is left out: it is a link to a folder")
        folders[:] = sorted(name for name in folders if not name.startswith(".pymdc-"))
        for name in sorted(names):
            path = Path(parent) / name
            if path.is_file():
                yield path, path.relative_to(folder).as_posix()
            else:
                output.warn(f"{path} is left out: it is no file")
