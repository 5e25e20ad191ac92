"""Completion: what the shell offers after a Tab: buckets, files, keys and profiles.

Give one of these functions to an argument: `click.argument("bucket", shell_complete=complete_bucket)`. They ask the
bridge, wait at most two seconds, and offer nothing if anything goes wrong.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

import click

from .addresses import SCHEME, is_address

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

    from .session import Session

__all__ = ["complete_address", "complete_bucket", "complete_key", "complete_path_or_address"]

_SECONDS = 2.0
_MOST = 1000
_SHORTEST = 3  # after so many letters of "storj://" it is offered: before, a file's name is more likely
_PLAIN = "-._~/@+"  # characters without a meaning of their own in a shell

_Completer = Callable[[click.Context, click.Parameter, str], "list[CompletionItem[Any]]"]


def _quietly(offer: Callable[[click.Context, str], Iterable[CompletionItem[Any]]]) -> _Completer:
    def complete(context: click.Context, _: click.Parameter, incomplete: str) -> list[CompletionItem[Any]]:
        try:
            return list(offer(context, incomplete))[:_MOST]
        except Exception:  # noqa: BLE001 - a message would disturb the line that is being typed
            return []

    return complete


def _items(values: Iterable[str], **settings: Any) -> list[CompletionItem[Any]]:
    from click.shell_completion import CompletionItem

    return [CompletionItem(value, **settings) for value in values]


def _addresses(context: click.Context, incomplete: str) -> list[CompletionItem[Any]]:
    if not is_address(incomplete):
        return _items([SCHEME] if SCHEME.startswith(incomplete) else [])
    bucket, slash, name = incomplete[len(SCHEME) :].partition("/")
    if not slash:
        return _items(f"{SCHEME}{each}/" for each in _bucket_names(context, unquote(bucket)))
    return _items(f"{SCHEME}{bucket}/{each}" for each in _file_names(context, unquote(bucket), unquote(name)))


def _paths_or_addresses(context: click.Context, incomplete: str) -> list[CompletionItem[Any]]:
    begun = len(incomplete) >= _SHORTEST and SCHEME.startswith(incomplete)
    if begun or is_address(incomplete):
        return _addresses(context, incomplete)
    return _items([incomplete], type="file")


def _buckets(context: click.Context, incomplete: str) -> list[CompletionItem[Any]]:
    if is_address(incomplete):
        return _addresses(context, incomplete)
    return _items(name for name in _bucket_names(context, unquote(incomplete)) if "%" not in name)


def _keys(context: click.Context, incomplete: str) -> list[CompletionItem[Any]]:
    from ..api import Keys
    from .replies import entries

    with _session(context) as session:
        known = entries(Keys(session.credentials, client=session.client).list(), "key")
    return _items(each["key"] for each in known if each["key"].startswith(incomplete.lower()))


complete_address = _quietly(_addresses)
complete_bucket = _quietly(_buckets)
complete_key = _quietly(_keys)
complete_path_or_address = _quietly(_paths_or_addresses)


@contextmanager
def _session(context: click.Context) -> Iterator[Session]:
    from .session import Session

    session = Session(context, seconds=_SECONDS)
    try:
        yield session
    finally:
        session.client.close(cancel=True)


def _bucket_names(context: click.Context, beginning: str) -> list[str]:
    """Return the buckets whose names begin with this text, escaped for a shell. Those of equal names have their ids."""
    from .replies import list_buckets

    with _session(context) as session:
        buckets = list_buckets(session)
    names = [bucket["name"] for bucket in buckets]
    words = (bucket["name"] if names.count(bucket["name"]) == 1 else bucket["id"] for bucket in buckets)
    return sorted(_escaped(word).replace("/", "%2F") for word in words if word.startswith(beginning))


def _file_names(context: click.Context, bucket: str, beginning: str) -> list[str]:
    from .lookups import find_bucket, list_files
    from .names import readable_name

    with _session(context) as session:
        files = list_files(session, find_bucket(session, bucket))
    names = {readable_name(file.get("filename")) for file in files}
    return sorted(_escaped(name) for name in names if name.startswith(beginning))


def _escaped(text: str) -> str:
    """Write characters that have a meaning in a shell as "%" and hex digits, which an address may hold."""
    return "".join(
        char if char.isalnum() or char in _PLAIN else "".join(f"%{byte:02X}" for byte in char.encode()) for char in text
    )
