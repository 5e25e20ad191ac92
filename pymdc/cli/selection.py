"""Find the bucket and the files that an address means."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

from .addresses import SCHEME, Address, is_address, parse_address
from .failures import Code, Failure
from .lookups import find_bucket, list_files
from .names import readable_name
from .transfers import BucketFiles

if TYPE_CHECKING:
    from .session import Session

__all__ = ["Shelf", "address_of", "in_folder", "open_bucket", "select"]

_PATTERN = re.compile(r"[*?\[]")
_MOST_SHOWN = 10


def address_of(text: str) -> Address:
    """Return the address in an argument that can only be an address: `storj://` may be left out."""
    return parse_address(text if is_address(text) else SCHEME + text)


class Shelf:
    """The buckets that a command works on. Each is looked up, and listed, at most once."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._buckets: dict[str, tuple[dict[str, Any], BucketFiles]] = {}
        self._listings: dict[str, list[dict[str, Any]]] = {}

    def bucket(self, text: str) -> BucketFiles:
        """Return the bucket of this name or id.

        Raises:
            Failure: there is no such bucket, or there are several.
        """
        return self._found(text)[1]

    def files(self, text: str) -> list[dict[str, Any]]:
        """Return all files of the bucket of this name or id.

        Raises:
            Failure: there is no such bucket, or the bridge does not list its files.
        """
        if text not in self._listings:
            self._listings[text] = list_files(self._session, self._found(text)[0])
        return self._listings[text]

    def _found(self, text: str) -> tuple[dict[str, Any], BucketFiles]:
        if text not in self._buckets:
            about = find_bucket(self._session, text)
            self._buckets[text] = about, open_bucket(self._session, about, text)
        return self._buckets[text]


def open_bucket(session: Session, about: Mapping[str, Any], called: str) -> BucketFiles:
    """Return the files of a bucket.

    Arguments:
        about: its entry in the list of buckets.
        called: its name or its id, as a person typed it, for messages.
    """
    from ..api import Files

    return BucketFiles(called, Files(about["id"], session.credentials, client=session.client))


def select(files: list[dict[str, Any]], address: Address, *, several: bool = False) -> list[dict[str, Any]]:
    """Return the files that an address means: the file of this hash, else of this name, else those of a pattern.

    Arguments:
        files: all files of the bucket.
        address: its name may be a hash, a name, or a pattern such as `*.jpg`.
        several: accept several files of one name.

    Raises:
        Failure: there is no such file, or there are several of one name.
    """
    found = [file for file in files if file.get("hash") == address.name.lower()] or _named(files, address.name)
    if not found and _PATTERN.search(address.name):
        found = _where(files, lambda name: fnmatchcase(name, address.name))
        several = True
    if not found:
        bucket = Address(address.bucket)
        raise Failure(f"there is no file {address}. To see all: pymdc ls {bucket}", Code.NOT_FOUND)
    if len(found) > 1 and not several:
        hashes = ", ".join(str(file.get("hash")) for file in found[:_MOST_SHOWN])
        more = f", and {len(found) - _MOST_SHOWN} more" if len(found) > _MOST_SHOWN else ""
        words = f"{address} means {len(found)} files. Name one by its hash, as {Address(address.bucket, 'HASH')}"
        raise Failure(f"{words}: {hashes}{more}", Code.USAGE)
    return found


def in_folder(files: list[dict[str, Any]], folder: str) -> list[dict[str, Any]]:
    """Return the files below a folder of a bucket; "" means all."""
    start = folder.rstrip("/") + "/" if folder.strip("/") else ""
    return _where(files, lambda name: name.startswith(start))


def _named(files: list[dict[str, Any]], name: str) -> list[dict[str, Any]]:
    return [file for file in files if name in (file.get("filename"), readable_name(file.get("filename")))]


def _where(files: list[dict[str, Any]], fits: Callable[[str], bool]) -> list[dict[str, Any]]:
    return [file for file in files if fits(readable_name(file.get("filename")))]
