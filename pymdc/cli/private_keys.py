"""Keep private keys: each in a file that only its owner can read, or in the system's keyring."""

from __future__ import annotations

import os
import stat
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any

from .failures import Code, Failure
from .plain_files import read_text

__all__ = ["FILE", "KEYRING", "forget_key", "keep_key", "read_key", "write_private"]

FILE, KEYRING = "file", "keyring"

_SERVICE = "pymdc"


def keep_key(folder: Path, public_key: str, private_key: str, kept_in: str) -> None:
    """Keep a private key.

    Arguments:
        folder: the folder of the profiles.
        public_key, private_key: in hex.
        kept_in: `FILE` or `KEYRING`.

    Raises:
        OSError: the file cannot be written.
        Failure: there is no keyring.
    """
    if kept_in == KEYRING:
        _in_keyring("set_password", public_key, private_key)
        return
    path = _path(folder, public_key)
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    path.parent.chmod(0o700)
    write_private(path, f"{private_key}\n")


def read_key(folder: Path, public_key: str, kept_in: str) -> str:
    """Return a private key, in hex.

    Raises:
        Failure: the key is not there, or cannot be read, or other users can read its file.
    """
    text = _in_keyring("get_password", public_key) if kept_in == KEYRING else _from_file(_path(folder, public_key))
    if not text:
        raise Failure("the private key of the profile is not there any more. Log in again: pymdc login EMAIL", _LOST)
    return str(text).strip()


def forget_key(folder: Path, public_key: str, kept_in: str) -> None:
    """Remove a private key. It may be gone already."""
    if not public_key:
        return
    if kept_in == KEYRING:
        with suppress(Failure):
            _in_keyring("delete_password", public_key)
        return
    _path(folder, public_key).unlink(missing_ok=True)


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner can read, in one step: a reader sees the old file or the new one.

    Raises:
        OSError: it cannot be written.
    """
    descriptor, temporary = tempfile.mkstemp(prefix=f".{path.name}-", dir=path.parent)  # mode 0600
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink()
        raise


_LOST = Code.CREDENTIALS


def _path(folder: Path, public_key: str) -> Path:
    return folder / "keys" / f"{public_key}.key"


def _from_file(path: Path) -> str:
    try:
        text = read_text(path)
        if os.name == "posix" and stat.S_IMODE(path.stat().st_mode) & 0o077:
            raise Failure(f"other users can read the private key. Make it private: chmod 600 {path}", Code.CREDENTIALS)
    except FileNotFoundError:
        return ""
    return text


def _in_keyring(function: str, public_key: str, *arguments: str) -> Any:
    try:
        import keyring
        from keyring.errors import KeyringError
    except ImportError:
        raise Failure("there is no keyring: pip install keyring, or leave out --keyring") from None
    try:
        return getattr(keyring, function)(_SERVICE, public_key, *arguments)
    except KeyringError as error:
        raise Failure(f"the keyring cannot be used: {error}") from error
