"""Make file names that a bridge sent safe to write under."""

from __future__ import annotations

import re

__all__ = ["marked", "numbered", "safe_name"]

# Control characters, and characters that Windows refuses; ":" would name a drive. The others change the direction of a
# text, or are invisible: a name such as "exe.<U+202E>gpj" would look like another one.
_UNSAFE = re.compile(r'[\x00-\x1f\x7f-\x9f<>:"|?*\u200b\u200e\u200f\u2028-\u202e\u2060\u2066-\u2069\ufeff]')
_RESERVED = re.compile(r"(con|prn|aux|nul|conin\$|conout\$|com[0-9¹²³]|lpt[0-9¹²³]) *(\.|$)", re.IGNORECASE)
_SETTINGS = re.compile(r"desktop\.ini|autorun\.inf", re.IGNORECASE)  # Windows obeys these files in a folder
_MAX_BYTES = 255  # the limit of every common file system


def safe_name(name: object, otherwise: str) -> str:
    """Return the last component of `name` so that it is a plain file's name on every system.

    It does not begin with a dot: such a file is hidden, and may be a program's settings.

    Arguments:
        name: the name at the bridge; a bridge v0.6.6 may send something that is not text.
        otherwise: the name to use if nothing is left of `name`.
    """
    last = re.split(r"[/\\]", name)[-1] if isinstance(name, str) else ""
    last = last.encode("utf-8", "replace").decode("utf-8")
    last = _UNSAFE.sub("_", last).lstrip(" .").rstrip(". ")
    if _RESERVED.match(last) or _SETTINGS.fullmatch(last):
        last = "_" + last
    return _shortened(last).rstrip(". ") or otherwise


def numbered(name: str, number: int) -> str:
    """Return the name for the second file of that name, the third, and so on: `film.mkv` gives `film (2).mkv`."""
    return marked(name, f" ({number})")


def _shortened(name: str) -> str:
    if len(name.encode("utf-8")) <= _MAX_BYTES:
        return name
    return marked(name, "")


def marked(name: str, mark: str) -> str:
    """Put a mark before a name's suffix, and shorten the part before the mark if the whole is too long."""
    stem, dot, suffix = name.rpartition(".")
    if not stem or len(suffix.encode("utf-8")) > 32:  # too long for a suffix
        stem, dot, suffix = name, "", ""
    room = _MAX_BYTES - len((mark + dot + suffix).encode("utf-8"))
    return stem.encode("utf-8")[:room].decode("utf-8", "ignore") + mark + dot + suffix
