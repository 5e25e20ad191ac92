"""`pymdc mb`, `pymdc rb` and `pymdc bucket`: make, remove and change buckets."""

from __future__ import annotations

from typing import Any

import click

from .addresses import Address
from .completions import complete_bucket
from .failures import Code, Failure, checked
from .lookups import find_bucket, list_files
from .questions import agree
from .replies import entry, keys_of, list_buckets
from .selection import address_of
from .session import Session, common_options, pass_session
from .texts import clean

__all__ = ["bucket", "mb", "rb"]

_STORAGE, _TRANSFER = 30, 10  # GB: what the bridges of 2016 give a bucket by default
_GIGABYTES = click.IntRange(0, 10**9)


@click.command()
@click.argument("name")
@click.option("--storage", type=_GIGABYTES, default=_STORAGE, show_default=True, help="How many GB it may hold.")
@click.option("--transfer", type=_GIGABYTES, default=_TRANSFER, show_default=True, help="How many GB may be fetched.")
@click.option("--another", is_flag=True, help="Make it even if there is a bucket of this name.")
@common_options
@pass_session
def mb(session: Session, name: str, storage: int, transfer: int, another: bool) -> None:
    """Make a bucket, and write its id."""
    from ..api import Buckets

    name = _bucket_of(name)
    if not name:  # "storj://"
        raise Failure("a bucket needs a name: pymdc mb NAME", Code.USAGE)
    buckets = Buckets(session.credentials, client=session.client)
    same = [each["id"] for each in list_buckets(session) if each["name"] == name]
    if same and not another:
        words = f"there is a bucket {name} already: {', '.join(same)}. To make one more, known by its id: --another"
        raise Failure(words, Code.REFUSED)
    made = entry(buckets.create(name, storage, transfer, _own_keys(session)), "id")
    if session.output.json:
        session.output.object(made)
    else:
        click.echo(clean(made["id"]))
    session.output.say(f"Made the bucket {name}. Next: pymdc cp FILE {Address(name)}")


@click.command()
@click.argument("bucket", shell_complete=complete_bucket)
@click.option("-y", "--yes", is_flag=True, help="Do not ask, even if there are files in it.")
@common_options
@pass_session
def rb(session: Session, bucket: str, yes: bool) -> None:
    """Remove a bucket, and the files in it."""
    found = find_bucket(session, _bucket_of(bucket))
    files = list_files(session, found)
    if files:
        count = f"{len(files)} file{'s' * (len(files) > 1)}"
        agree(clean(f"The bucket {found['name']} holds {count}. Remove all of it?"), yes)
    checked(_api(session, found).delete())
    session.output.say(f"Removed the bucket {found['name']} ({found['id']}).")


@click.group()
def bucket() -> None:
    """Show a bucket or change it. A bucket is named by its name or its id."""


@bucket.command()
@click.argument("bucket", shell_complete=complete_bucket)
@common_options
@pass_session
def show(session: Session, bucket: str) -> None:
    """Show what a bridge knows of a bucket."""
    session.output.record(find_bucket(session, _bucket_of(bucket)))


@bucket.command("set")
@click.argument("bucket", shell_complete=complete_bucket)
@click.option("--name", help="Its new name.")
@click.option("--storage", type=_GIGABYTES, help="How many GB it may hold.")
@click.option("--transfer", type=_GIGABYTES, help="How many GB may be fetched from it.")
@common_options
@pass_session
def set_(session: Session, bucket: str, **wanted: Any) -> None:
    """Change a bucket's name, storage or transfer."""
    changes = {key: value for key, value in wanted.items() if value is not None}
    if not changes:
        raise Failure("say what to change: --name, --storage or --transfer", Code.USAGE)
    _change(session, find_bucket(session, _bucket_of(bucket)), changes)


@bucket.command()
@click.argument("bucket", shell_complete=complete_bucket)
@click.argument("key")
@common_options
@pass_session
def grant(session: Session, bucket: str, key: str) -> None:
    """Let the holder of a public key ask for tokens of a bucket: to store files in it and to fetch them."""
    found = find_bucket(session, _bucket_of(bucket))
    point = _point(key)
    if any(_is(each, point) for each in keys_of(found)):
        session.output.say("This key may use the bucket already.")
        return
    _change(session, found, {"pubkeys": [*keys_of(found), key]})


@bucket.command()
@click.argument("bucket", shell_complete=complete_bucket)
@click.argument("key")
@common_options
@pass_session
def revoke(session: Session, bucket: str, key: str) -> None:
    """Take from a public key what `grant` gave it."""
    found = find_bucket(session, _bucket_of(bucket))
    point = _point(key)
    left = [each for each in keys_of(found) if not _is(each, point)]
    if len(left) == len(keys_of(found)):
        raise Failure(f"the bucket {found['name']} does not know this key", Code.NOT_FOUND)
    _change(session, found, {"pubkeys": left})


def _bucket_of(text: str) -> str:
    """Return the bucket that a person means: a name, an id, or an address without a file.

    Raises:
        Failure: it names a file.
    """
    address = address_of(text)
    if address.name:
        raise Failure(f"{address} is in a bucket: write {Address(address.bucket)}", Code.USAGE)
    return address.bucket


def _api(session: Session, found: dict[str, Any]) -> Any:
    from ..api import Bucket

    return Bucket(found["id"], session.credentials, client=session.client)


def _change(session: Session, found: dict[str, Any], changes: dict[str, Any]) -> None:
    session.output.record(entry(_api(session, found).patch(changes)))


def _own_keys(session: Session) -> list[Any]:
    """Return the key pair of the account, so that it may ask for tokens; nothing where a password is used."""
    from ..api import ECDSA

    return [session.credentials] if isinstance(session.credentials, ECDSA) else []


def _point(key: str) -> bytes:
    """Return the bytes of a public key, which has several forms in hex.

    Raises:
        Failure: the text is not a public key.
    """
    from ..api import ECDSA

    try:
        return ECDSA(key).public_key
    except ValueError as error:
        raise Failure(f"{key} is not a public key: {error}", Code.USAGE) from error


def _is(key: object, point: bytes) -> bool:
    """Tell whether a key of a bucket is this one. A bridge of 2016 may list texts that are not keys."""
    try:
        return _point(str(key)) == point
    except Failure:
        return False
