"""Checks of arguments. They raise in the caller's thread, before anything is sent.

An id, a token or a hash may also be the result of a call: `Bucket(buckets.create(...), key_pair)`.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from ..core.calls import Account
from ..core.delivery import check_callable
from ..keypair import ECDSA

__all__ = [
    "FileHash",
    "LocalPath",
    "Token",
    "check_credentials",
    "check_progress",
    "check_text",
    "hash_of",
    "local_path",
    "text_of",
]

FileHash = str | Mapping[str, Any]
Token = str | Mapping[str, Any]
LocalPath = str | os.PathLike[str]


def check_credentials(credentials: object, what: str, *, needed: bool = True) -> None:
    """Raise a `TypeError` if `credentials` can neither sign nor log in.

    Arguments:
        credentials: an `ECDSA`, a `Users`, or something wrong.
        what: the name of the argument, for the message.
        needed: False accepts `None` too: a transfer needs only a token.
    """
    if credentials is None and not needed:
        return
    if isinstance(credentials, type) or not isinstance(credentials, ECDSA | Account):
        raise TypeError(f"{what} must be an ECDSA (it signs) or a Users (it logs in), not {_kind(credentials)}")


def check_progress(progress: object) -> None:
    """Raise a `TypeError` if `progress` is neither `None` nor a function."""
    if progress is not None:
        check_callable(progress, "progress")


def check_text(text: str, what: str) -> None:
    """Raise a `ValueError` for text that cannot be sent: half of a surrogate pair. The message does not repeat it."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        raise ValueError(f"{what} contains half of a surrogate pair, which is not text") from None


def _kind(value: object) -> str:
    return f"the class {value.__name__}" if isinstance(value, type) else type(value).__name__


def text_of(value: Any, name: str, what: str) -> str:
    """Return the text in `value`: the text itself, or the field `name` of a call's result.

    Arguments:
        value: a `str`, `bytes` in UTF-8, or the `dict` that a call returned.
        name: the field of the dict, such as `"id"`.
        what: what the argument is, in words, for the message.

    Raises:
        TypeError, ValueError: `value` is something else, such as an error value or a refusal of the bridge.
    """
    if isinstance(value, Mapping) and name not in value and "error" in value:
        raise ValueError(f"expected {what}, got a refusal of the bridge: {value['error']}")
    text = value.get(name) if isinstance(value, Mapping) else value
    if isinstance(text, bytes):
        text = _decoded(text, what)
    if not isinstance(text, str):
        raise TypeError(f"expected {what}, a str or the dict that a call returned, not {_kind(value)}")
    if not text:
        raise ValueError(f"expected {what}, got an empty str")
    check_text(text, what)
    return text


def _decoded(text: bytes, what: str) -> str:
    try:
        return text.decode("utf-8")
    except UnicodeDecodeError:
        raise ValueError(f"expected {what}, got bytes that are not UTF-8 text: {text!r}") from None


def hash_of(file_hash: FileHash) -> str:
    """Return a hash as the bridges write it: in lower case, and without spaces around it."""
    return text_of(file_hash, "hash", "a file's hash").strip().lower()


def local_path(path: object) -> str:
    """Return a path on this machine, absolute: the program may change its folder before the call begins.

    A separator at the end stays: it says that the path is a folder.

    Raises:
        TypeError: it is neither a `str` nor a path.
    """
    if not isinstance(path, str | os.PathLike):
        raise TypeError(f"a path is a str or a path, not {type(path).__name__}")
    text = os.fsdecode(path)
    with suppress(FileNotFoundError):  # the current folder was removed
        return os.path.join(Path.cwd(), text)  # noqa: PTH118 - `Path` drops a separator at the end
    return text
