"""Choose the name of a downloaded file, and decide what to do if a file has that name already."""

from __future__ import annotations

import errno
import os
import stat
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from .names import numbered, safe_name

__all__ = ["EXISTS", "Place", "check_exists", "folder_of"]

EXISTS = ("replace", "rename", "error")
"""What to do if a file has that name already."""


def check_exists(exists: object, path: object) -> None:
    """Check the argument `exists=`, in the caller's thread.

    Raises:
        ValueError: it is not one of `EXISTS`, or there is no path.
    """
    if exists is not None and exists not in EXISTS:
        raise ValueError(f"exists is one of {', '.join(map(repr, EXISTS))}, or None, not {exists!r}")
    if exists is not None and path is None:
        raise ValueError("exists= says what to do if the file exists: it needs path=")


def folder_of(path: str | Path) -> Path:
    """Return the folder in which a download to this path keeps its shards."""
    path = Path(path)
    if path.is_dir():
        return path
    return Path(os.path.realpath(path)).parent if path.is_symlink() else path.parent


@dataclass(frozen=True)
class Place:
    """The name for a downloaded file.

    Attributes:
        path: the file; a symbolic link to a regular file stands for that file.
        exists: what to do if that file exists: one of `EXISTS`.
    """

    path: Path
    exists: str

    @classmethod
    def of(cls, path: str | Path, exists: str | None, filename: object, file_hash: str) -> Place:
        """Choose the place of a download.

        Arguments:
            path: the caller's argument: a file, or a folder, in which the file gets its own name. With a separator at
                its end it is a folder in any case.
            exists: the caller's argument. By default the path of a file is replaced, and a file in a folder is not.
            filename: the file's name at the bridge.
            file_hash: the name to use if the bridge gives none.

        Raises:
            FileExistsError: a file is there, and `exists` is `"error"`.
            NotADirectoryError: it says that it is a folder, and there is none.
            OSError: what is there is no regular file, so that it is not replaced.
        """
        text, path = os.fspath(path), Path(path)
        if path.is_dir():
            name = safe_name(filename, safe_name(file_hash, "file"))
            place = cls(path / name, exists or "rename")
        elif text.endswith((os.sep, os.altsep or os.sep)):
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), text)
        else:
            place = cls(path, exists or "replace")
        return place._checked()

    def _checked(self) -> Place:
        if self.exists == "rename" or not os.path.lexists(self.path):
            return self
        if self.exists == "error":
            raise _exists(self.path)
        path = Path(os.path.realpath(self.path)) if self.path.is_symlink() else self.path
        _mode_of(path)
        return Place(path, self.exists)

    def take(self, whole: Path) -> Path:
        """Give a whole file its name, in one step, and return it.

        Raises:
            FileExistsError: a file is there, and `exists` is `"error"`.
            OSError: what is there is no regular file; or the system refuses.
        """
        if self.exists == "replace":
            with suppress(FileNotFoundError):
                whole.chmod(_mode_of(self.path))
            whole.replace(self.path)
            return self.path
        path, number = self.path, 1
        while not _renamed_to_free_name(whole, path):
            if self.exists == "error":
                raise _exists(path)
            number += 1
            path = self.path.with_name(numbered(self.path.name, number))
        return path


def _mode_of(path: Path) -> int:
    """Return the permissions of a file that is to be replaced.

    Raises:
        FileNotFoundError: there is no such file.
        OSError: it is no regular file: a folder, a pipe, a device.
    """
    mode = path.lstat().st_mode
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), os.fspath(path))
    if not stat.S_ISREG(mode):
        raise OSError(f"not a regular file, so it is not replaced: {os.fspath(path)!r}")
    return stat.S_IMODE(mode) & 0o777


def _renamed_to_free_name(whole: Path, path: Path) -> bool:
    """Rename a file, unless the new name exists. Return whether it was renamed."""
    try:
        path.hardlink_to(whole)  # unlike a rename, this never replaces a file that another program makes in this moment
    except FileExistsError:
        return False
    except OSError:  # a file system without hard links
        if os.path.lexists(path):
            return False
        whole.rename(path)
    else:
        whole.unlink()
    return True


def _exists(path: Path) -> FileExistsError:
    return FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), os.fspath(path))
