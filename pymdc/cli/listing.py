"""`pymdc ls`, `pymdc du`, `pymdc find` and `pymdc token`: list and find files, and get tokens."""

from __future__ import annotations

from collections.abc import Iterator
from fnmatch import fnmatchcase
from typing import Any

import click

from .addresses import Address
from .completions import complete_address, complete_bucket
from .failures import Code, Failure
from .lookups import find_bucket, list_files
from .names import readable_name
from .output import Column
from .replies import entry, list_buckets
from .selection import Shelf, address_of, in_folder, open_bucket, select
from .session import Session, common_options, pass_session
from .sizes import SIZE
from .texts import clean

__all__ = ["du", "find", "ls", "token"]


@click.command()
@click.argument("address", required=False, shell_complete=complete_address)
@click.option("-l", "--long", is_flag=True, help="Show more of each: type and hash, or status and keys.")
@common_options
@pass_session
def ls(session: Session, address: str | None, long: bool) -> None:
    """List the buckets, or the files of a bucket, of a folder in it, or of a pattern such as storj://BUCKET/*.jpg."""
    if address is None or address_of(address) == Address(""):
        columns = [Column("name", "Name"), Column("id", "Id", keep=True)]
        more = [Column("storage", "GB"), Column("transfer", "Transfer GB"), Column("created", "Created")]
        session.output.rows(list_buckets(session), columns + more * long)
        return
    columns = [Column("size", "Size", size=True), Column("name", "Name", keep=long)]
    more = [Column("mimetype", "Type"), Column("hash", "Hash", keep=True)]
    files = _files(Shelf(session), address_of(address))
    rows = ({**file, "name": readable_name(file.get("filename"))} for file in files)
    session.output.rows(sorted(rows, key=lambda row: str(row["name"])), columns + more * long)


@click.command()
@click.argument("addresses", nargs=-1, metavar="[ADDRESS]...", shell_complete=complete_address)
@common_options
@pass_session
def du(session: Session, addresses: tuple[str, ...]) -> None:
    """Add up the sizes of files: of all buckets, or of those buckets and folders that are named."""
    columns = [Column("size", "Size", size=True), Column("files", "Files"), Column("address", "Where")]
    session.output.rows(_sums(session, addresses), columns)


def _sums(session: Session, addresses: tuple[str, ...]) -> Iterator[dict[str, Any]]:
    sums = [(address, files) for address, files in _each(session, addresses)]
    rows = [_sum(str(address), files) for address, files in sums]
    yield from rows
    if len(rows) > 1 and session.output.on_terminal:
        yield _sum("all of them", [file for _, files in sums for file in files])


def _sum(address: str, files: list[dict[str, Any]]) -> dict[str, Any]:
    return {"address": address, "files": len(files), "size": sum(map(_size, files))}


def _size(file: dict[str, Any]) -> int:
    size = file.get("size")
    return size if isinstance(size, int) else 0


@click.command()
@click.argument("addresses", nargs=-1, metavar="[ADDRESS]...", shell_complete=complete_address)
@click.option("--name", "pattern", metavar="PATTERN", help="The last part of the name fits this, such as '*.jpg'.")
@click.option("--type", "mimetype", metavar="PATTERN", help="The MIME type fits this, such as 'image/*'.")
@click.option("--larger", type=SIZE, metavar="SIZE", help="It has more bytes than this, such as 10MB.")
@click.option("--smaller", type=SIZE, metavar="SIZE", help="It has fewer bytes than this.")
@click.option("--hash", "file_hash", metavar="HASH", help="It has this hash.")
@common_options
@pass_session
def find(
    session: Session,
    addresses: tuple[str, ...],
    pattern: str | None,
    mimetype: str | None,
    larger: int | None,
    smaller: int | None,
    file_hash: str | None,
) -> None:
    """Find files: in all buckets, or in those buckets and folders that are named. Write their addresses."""

    def fits(file: dict[str, Any]) -> bool:
        last = readable_name(file.get("filename")).rpartition("/")[2]
        return all(
            [
                pattern is None or fnmatchcase(last, pattern),
                mimetype is None or fnmatchcase(str(file.get("mimetype")).lower(), mimetype.lower()),
                larger is None or _size(file) > larger,
                smaller is None or _size(file) < smaller,
                file_hash is None or file.get("hash") == file_hash.lower(),
            ]
        )

    for address, files in _each(session, addresses):
        for file in filter(fits, files):
            where = str(Address(address.bucket, readable_name(file.get("filename"))))
            if session.output.json:
                session.output.object({**file, "address": where})
            else:
                click.echo(clean(where))


@click.command()
@click.argument("bucket", shell_complete=complete_bucket)
@click.argument("operation", type=click.Choice(["push", "pull"], case_sensitive=False))
@common_options
@pass_session
def token(session: Session, bucket: str, operation: str) -> None:
    """Write a token for one upload (push) to a bucket, or for one download (pull) from it, within five minutes."""
    address = address_of(bucket)
    if address.name:
        raise Failure(f"a token is for a bucket: write {Address(address.bucket)}", Code.USAGE)
    about = find_bucket(session, address.bucket)
    asked = open_bucket(session, about, address.bucket).files.token("PUSH" if operation == "push" else "PULL")
    given = entry(asked, "token")
    if session.output.json:
        session.output.object(given)
    else:
        click.echo(clean(given["token"]))
    session.output.say(f"It serves once, until {given.get('expires')}.")


def _files(shelf: Shelf, address: Address) -> list[dict[str, Any]]:
    """Return the files of an address: of a bucket, of a folder, of a pattern, or of one name."""
    files = shelf.files(address.bucket)
    below = in_folder(files, address.name)
    return below if below or not address.name else select(files, address, several=True)


def _each(session: Session, addresses: tuple[str, ...]) -> Iterator[tuple[Address, list[dict[str, Any]]]]:
    """Give each address with its files. Without addresses: all buckets; buckets of equal names have their ids."""
    shelf = Shelf(session)
    for address in map(address_of, addresses):
        yield address, _files(shelf, address)
    if not addresses:
        buckets = list_buckets(session)
        names = [bucket["name"] for bucket in buckets]
        for bucket in buckets:
            plain = names.count(bucket["name"]) == 1 and bucket["name"]
            yield Address(bucket["name"] if plain else bucket["id"]), list_files(session, bucket)
