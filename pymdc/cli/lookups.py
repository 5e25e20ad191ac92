"""Find a bucket by its name or its id, and list its files. `selection` finds files."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from .failures import Code, Failure
from .replies import list_buckets, list_of

if TYPE_CHECKING:
    from .session import Session

__all__ = ["find_bucket", "list_files"]

_MOST_SHOWN = 10


def find_bucket(session: Session, text: str) -> dict[str, Any]:
    """Return the bucket of this id, else the one of this name, as `Buckets.list` gives it.

    Raises:
        Failure: there is no such bucket, or there are several of this name.
    """
    if not text:
        raise Failure("no bucket is named: write storj://BUCKET/", Code.USAGE)
    buckets = list_buckets(session)
    found = [bucket for bucket in buckets if bucket["id"] == text.lower()]
    found = found or [bucket for bucket in buckets if bucket["name"] == text]
    if not found:
        raise Failure(f"there is no bucket {text}. To see all: pymdc ls", Code.NOT_FOUND)
    return _only(found, f"several buckets are called {text}. Name one by its id", "id")


def list_files(session: Session, bucket: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return all files of a bucket, as `Files.list` gives them. Entries without a hash are left out.

    Raises:
        Failure: the bridge does not give them.
    """
    from ..api import Files

    files = list_of(Files(bucket, session.credentials, client=session.client).list())
    return [file for file in files if isinstance(file, dict) and isinstance(file.get("hash"), str)]


def _only(found: list[dict[str, Any]], several: str, key: str) -> dict[str, Any]:
    if len(found) == 1:
        return found[0]
    shown = ", ".join(str(each[key]) for each in found[:_MOST_SHOWN])
    rest = len(found) - _MOST_SHOWN
    raise Failure(f"{several}: {shown}" + (f", and {rest} more" if rest > 0 else ""), Code.USAGE)
