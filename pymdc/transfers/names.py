"""File names that came from elsewhere, made safe to write under."""

from __future__ import annotations

import re

__all__ = ["safe_name"]

_UNSAFE = re.compile(r'[\x00-\x1f\x7f<>:"|?*]')  # control characters, and what Windows refuses; ":" would name a drive
_RESERVED = re.compile(r"(con|prn|aux|nul|conin\$|conout\$|com[0-9¹²³]|lpt[0-9¹²³]) *(\.|$)", re.IGNORECASE)
_MAX_BYTES = 255  # the limit of every common file system


def safe_name(name: object, otherwise: str) -> str:
    """Return the last component of `name` so that it is a plain file's name on every system.

    Arguments:
        name: what a bridge calls a file; v0.6.6 may send what is no text.
        otherwise: the name to take where nothing is left of it.
    """
    last = re.split(r"[/\\]", name)[-1] if isinstance(name, str) else ""
    last = last.encode("utf-8", "replace").decode("utf-8")
    last = _UNSAFE.sub("_", last).strip(" ").rstrip(". ")
    if _RESERVED.match(last):
        last = "_" + last
    return _shortened(last).rstrip(". ") or otherwise


def _shortened(name: str) -> str:
    if len(name.encode("utf-8")) <= _MAX_BYTES:
        return name
    stem, dot, suffix = name.rpartition(".")
    if not dot or len(suffix.encode("utf-8")) > 32:  # no suffix that a program would know
        stem, dot, suffix = name, "", ""
    room = _MAX_BYTES - len((dot + suffix).encode("utf-8"))
    return stem.encode("utf-8")[:room].decode("utf-8", "ignore") + dot + suffix
