"""Check the shape of a bridge's answers. A server that is not a bridge may answer anything."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .failures import Code, Failure, checked

if TYPE_CHECKING:
    from .session import Session

__all__ = ["entries", "entry", "keys_of", "list_buckets", "list_of"]

_NO_BRIDGE = (
    "the answer is not what a bridge of the Metadisk API sends. Check the URL, its port and its path; "
    "the command `pymdc doctor` looks at each step on the way"
)


def list_of(value: Any) -> list[Any]:
    """Return the list that a call gave.

    Raises:
        Failure: the call failed, or it gave no list.
    """
    found = checked(value)
    if not isinstance(found, list):
        raise Failure(_NO_BRIDGE, Code.NETWORK)
    return found


def entries(value: Any, *keys: str) -> list[dict[str, Any]]:
    """Return the list of dicts that a call gave.

    Arguments:
        keys: each dict must have a text under each of these.

    Raises:
        Failure: the call failed, or it gave something else.
    """
    return [entry(each, *keys) for each in list_of(value)]


def entry(value: Any, *keys: str) -> dict[str, Any]:
    """Return the dict that a call gave.

    Arguments:
        keys: the dict must have a text under each of these.

    Raises:
        Failure: the call failed, or it gave something else.
    """
    found = checked(value)
    if not isinstance(found, dict) or not all(isinstance(found.get(key), str) for key in keys):
        raise Failure(_NO_BRIDGE, Code.NETWORK)
    return found


def keys_of(bucket: dict[str, Any]) -> list[Any]:
    """Return the public keys of a bucket, or an empty list if the bridge sent something else."""
    keys = bucket.get("pubkeys")
    return keys if isinstance(keys, list) else []


def list_buckets(session: Session) -> list[dict[str, Any]]:
    """Return the account's buckets. Each has an id and a name; the name is "" if the bridge sends no name.

    Raises:
        Failure: the call failed, or the answer has another shape.
    """
    from ..api import Buckets

    buckets = entries(Buckets(session.credentials, client=session.client).list(), "id")
    return [{**bucket, "name": name if isinstance(name := bucket.get("name"), str) else ""} for bucket in buckets]
