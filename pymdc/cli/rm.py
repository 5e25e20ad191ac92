"""`pymdc rm`: remove files from buckets."""

from __future__ import annotations

from typing import Any

import click

from .addresses import Address
from .completions import complete_address
from .failures import Code, Failure
from .plans import Planned
from .questions import agree
from .running import carry_out, transfer_options
from .selection import Shelf, address_of, in_folder, select
from .session import Session, common_options, pass_session
from .texts import clean
from .transfers import Removal

__all__ = ["rm"]

_MOST_SHOWN = 5


@click.command()
@click.argument("addresses", nargs=-1, required=True, metavar="ADDRESS...", shell_complete=complete_address)
@click.option("-r", "--recursive", is_flag=True, help="Remove all that is in a folder or in a bucket, too.")
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
@transfer_options
@common_options
@pass_session
def rm(session: Session, addresses: tuple[str, ...], recursive: bool, yes: bool, jobs: int, retries: int) -> None:
    """Remove files from a bucket.

    An address is storj://BUCKET/NAME, with the file's name, its hash, or a pattern such as '*.tmp'. Several files are
    asked about, unless --yes is given.
    """
    shelf = Shelf(session)
    found: dict[tuple[str, str], Removal] = {}  # by bucket and hash: a file may be named twice
    for address in map(address_of, addresses):
        bucket = shelf.bucket(address.bucket)
        for file in _meant(shelf, address, recursive):
            found[bucket.files.bucket_id, file["hash"]] = Removal(bucket, file)
    removals = list(found.values())
    if len(removals) > 1:
        names = ", ".join(removal.source for removal in removals[:_MOST_SHOWN])
        more = f" and {len(removals) - _MOST_SHOWN} more" if len(removals) > _MOST_SHOWN else ""
        agree(clean(f"Remove {len(removals)} files: {names}{more}?"), yes)
    carry_out(session.output, Planned([*removals]), jobs=jobs, retries=retries, speed=False)


def _meant(shelf: Shelf, address: Address, recursive: bool) -> list[dict[str, Any]]:
    files = shelf.files(address.bucket)
    below = in_folder(files, address.name) if recursive else []
    if below or (recursive and not address.name):
        return below
    if not address.name or address.name.endswith("/"):
        what = "folder" if address.name else "bucket"
        raise Failure(f"{address} is a {what}. To remove all that is in it, add -r", Code.USAGE)
    return select(files, address)
