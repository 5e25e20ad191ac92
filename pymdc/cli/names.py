"""Names of files: at the bridge, and on this machine.

A bridge keeps a name without folders: it cuts a path to its last part. So a file in a folder gets a name in which
another character stands for the slash, as rclone does it: `2016/a.jpg` is called `2016／a.jpg` (U+FF0F). Every client
shows such a name in a readable way, and this command makes folders of it again.
"""

from __future__ import annotations

import os
import re

from ..transfers.names import safe_name

__all__ = ["bridge_name", "is_folder", "joined", "local_path", "readable_name"]

_ESCAPE = "\u201b"  # stands before a character of a file's own name that would be read as one of the substitutes
_SUBSTITUTES = {"/": "\uff0f", "\\": "\uff3c"}
_TO_BRIDGE = str.maketrans({**_SUBSTITUTES, **{char: _ESCAPE + char for char in (*_SUBSTITUTES.values(), _ESCAPE)}})
_FROM_BRIDGE = {substitute: char for char, substitute in _SUBSTITUTES.items()}
_SUBSTITUTED = re.compile(f"{_ESCAPE}([{_ESCAPE}{''.join(_FROM_BRIDGE)}])|[{''.join(_FROM_BRIDGE)}]")

# Control characters, those that change the direction of a text, invisible ones, and halves of a surrogate pair.
_HARMFUL = re.compile("[\x00-\x1f\x7f-\x9f\u00ad\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ud800-\udfff]")
_MAX_BYTES = 255  # the limit of every common file system for one part of a path
_OURS = ".pymdc-"  # the names of folders of unfinished downloads begin so


def bridge_name(path: str) -> str:
    """Return the name of a file at the bridge.

    Arguments:
        path: its path below the folder that is sent, with "/" between the parts, or its name.
    """
    return path.translate(_TO_BRIDGE)


def readable_name(name: object) -> str:
    """Return the path that a name at the bridge stands for, with "/" between the parts.

    Arguments:
        name: the name at the bridge. A bridge of 2016 may send something that is not text.
    """
    return _SUBSTITUTED.sub(lambda match: match[1] or _FROM_BRIDGE[match[0]], name) if isinstance(name, str) else ""


def local_path(name: object, otherwise: str, *, windows: bool = os.name == "nt") -> str:
    """Return the path below a folder for a file of the bridge, with "/" between the parts.

    It never leads out of the folder. Only characters that would deceive, or that the system refuses, are replaced.

    Arguments:
        name: the name at the bridge.
        otherwise: the name to use if nothing is left of it, such as the file's hash.
        windows: follow the rules of Windows.
    """
    parts = [_part(part, windows) for part in re.split(r"[/\\]" if windows else "/", readable_name(name))]
    return "/".join(part for part in parts if part) or otherwise


def is_folder(name: str) -> bool:
    """Tell whether a name in a target stands for a folder of the bucket, or for the bucket."""
    return not name or name.endswith("/")


def joined(*parts: str) -> str:
    """Return the path that these parts make; a part may be empty."""
    return "/".join(part.strip("/") for part in parts if part.strip("/"))


def _part(part: str, windows: bool) -> str:
    """Return one part of a path as a plain name: not "..", without harmful characters, not too long."""
    name = _HARMFUL.sub("_", part)
    if name in (".", ".."):
        return "_"
    if windows or len(name.encode("utf-8")) > _MAX_BYTES or name.startswith(_OURS):
        return safe_name(name, "_") if name else ""
    return name
