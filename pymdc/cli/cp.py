"""`pymdc cp`, `pymdc put` and `pymdc cat`: copy files to a bridge, from it, and between its buckets."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from ..transfers.names import safe_name
from .addresses import PATH_OR_ADDRESS, Address, is_address, parse_address
from .completions import complete_address, complete_path_or_address
from .failures import Code, Failure
from .local_sources import local_sources
from .names import bridge_name, is_folder, joined, local_path, readable_name
from .output import Output
from .plans import EXISTS, Destination, Exists, Planned, Source, plan_copies, plan_downloads, plan_uploads
from .running import carry_out, transfer_options
from .selection import Shelf, address_of, in_folder, select
from .session import Session, common_options, pass_session
from .streams import STANDARD, kept_input, write_out

__all__ = ["cat", "cp", "put"]

_F = TypeVar("_F", bound=Callable[..., Any])


def _exists_option(command: _F) -> _F:
    words = "What to do if a file of this name is there with other content."
    return click.option("--exists", type=click.Choice(EXISTS), default="error", show_default=True, help=words)(command)


@click.command()
@click.argument(
    "sources",
    nargs=-1,
    required=True,
    type=PATH_OR_ADDRESS,
    metavar="SOURCE...",
    shell_complete=complete_path_or_address,
)
@click.argument("target", type=PATH_OR_ADDRESS, shell_complete=complete_path_or_address)
@click.option("-r", "--recursive", is_flag=True, help="Copy folders and buckets with all that is in them.")
@_exists_option
@transfer_options
@common_options
@pass_session
def cp(
    session: Session, sources: tuple[str, ...], target: str, recursive: bool, exists: Exists, jobs: int, retries: int
) -> None:
    """Copy files to a bridge, from it, or between buckets.

    A file at a bridge is written storj://BUCKET/NAME. Write the name or the id of the bucket, and the name or the hash
    of the file, or a pattern such as '*.jpg'. "-" is standard input or standard output.

    \b
    pymdc cp film.mkv notes.txt storj://videos/
    pymdc cp -r photos storj://pictures/
    pymdc cp storj://videos/film.mkv .
    pymdc cp -r storj://pictures/photos backup/
    pymdc cp storj://videos/film.mkv storj://archive/

    A target that ends with "/" is a folder. A folder that is copied keeps its own name; "photos/." means the files in
    it. A bridge has no folders: there they are part of the file's name.

    A file that is there with the same content is not sent again, so you can run a command again that was interrupted.
    """
    away = [parse_address(source) for source in sources if is_address(source)]
    if away and len(away) < len(sources):
        raise Failure("the sources are partly here and partly at a bridge: copy them with two commands", Code.USAGE)
    if not away and not is_address(target):
        raise Failure("neither side is at a bridge: write storj://BUCKET/ or storj://BUCKET/NAME", Code.USAGE)
    shelf, planned = Shelf(session), Planned()
    if away and target == STANDARD:
        write_out(session.output, shelf, away, jobs=jobs, retries=retries)
        return
    if sources == (STANDARD,):
        _put(session, shelf, parse_address(target), exists, jobs, retries)
        return
    if not away:
        _plan_uploads(shelf, planned, session.output, sources, parse_address(target), recursive, exists)
    elif is_address(target):
        _plan_copies(shelf, planned, away, parse_address(target), recursive, exists)
    else:
        _plan_downloads(shelf, planned, away, target, recursive, exists)
    carry_out(session.output, planned, jobs=jobs, retries=retries)


@click.command()
@click.argument("source", type=PATH_OR_ADDRESS, shell_complete=complete_path_or_address)
@click.argument("target", shell_complete=complete_path_or_address)
@_exists_option
@transfer_options
@common_options
@pass_session
def put(session: Session, source: str, target: str, exists: Exists, jobs: int, retries: int) -> None:
    """Send one file, or standard input ("-"), to storj://BUCKET/NAME."""
    shelf, to = Shelf(session), address_of(target)
    if source == STANDARD:
        _put(session, shelf, to, exists, jobs, retries)
        return
    planned = Planned()
    _plan_uploads(shelf, planned, session.output, (source,), to, False, exists)
    carry_out(session.output, planned, jobs=jobs, retries=retries)


@click.command()
@click.argument("addresses", nargs=-1, required=True, metavar="ADDRESS...", shell_complete=complete_address)
@transfer_options
@common_options
@pass_session
def cat(session: Session, addresses: tuple[str, ...], jobs: int, retries: int) -> None:
    """Write files of a bridge to standard output.

    Each file is first fetched into a temporary file and checked, so only content that matches its hash is written.
    """
    write_out(session.output, Shelf(session), map(address_of, addresses), jobs=jobs, retries=retries)


def _destination(shelf: Shelf, to: Address, exists: Exists) -> Destination:
    return Destination(shelf.bucket(to.bucket), shelf.files(to.bucket), exists)


def _put(session: Session, shelf: Shelf, to: Address, exists: Exists, jobs: int, retries: int) -> None:
    """Send standard input."""
    if is_folder(to.name):
        raise Failure(f"standard input has no name: write {Address(to.bucket, to.name + 'NAME')}", Code.USAGE)
    destination, planned = _destination(shelf, to, exists), Planned()
    with kept_input() as path:
        plan_uploads(planned, [Source(path, to.name)], destination, label=STANDARD)
        carry_out(session.output, planned, jobs=jobs, retries=retries, again="Run the command again.")


def _plan_uploads(
    shelf: Shelf, planned: Planned, output: Output, typed: tuple[str, ...], to: Address, recursive: bool, exists: Exists
) -> None:
    if len(typed) > 1:
        _check_folder(to.name, f"{to}/")
    sources = [source for each in typed for source in local_sources(output, each, to, recursive=recursive)]
    plan_uploads(planned, sources, _destination(shelf, to, exists))


def _check_folder(name: str, better: str) -> None:
    if not is_folder(name):
        raise Failure(f"there are several files, so the target is a folder: write {better}", Code.USAGE)


def _remote_files(shelf: Shelf, address: Address, recursive: bool) -> list[tuple[dict[str, Any], str]]:
    """Return the files that an address means, each with the name that the copy gets.

    Raises:
        Failure: there are no such files, or the address is a folder or a bucket without `--recursive`.
    """
    files = shelf.files(address.bucket)
    folder = address.name.removesuffix("/.").strip("/")
    below = in_folder(files, folder) if recursive else []
    if below or (recursive and not folder):
        start = len(folder if address.name.endswith("/.") else folder.rpartition("/")[0])
        return [(file, readable_name(file.get("filename"))[start:].lstrip("/")) for file in below]
    if recursive and is_folder(address.name):
        raise Failure(f"there is nothing in {address}", Code.NOT_FOUND)
    if is_folder(address.name):
        what = "folder" if address.name else "bucket"
        raise Failure(f"{address} is a {what}. To copy it with all that is in it, add -r", Code.USAGE)
    return [(file, _last_part(file, address)) for file in select(files, address)]


def _last_part(file: dict[str, Any], address: Address) -> str:
    """Return the last part of a file's name, without the dot before it unless a person typed that dot."""
    name = readable_name(file.get("filename"))
    last = name.rpartition("/")[2]
    return last if name == address.name or not last.startswith(".") else safe_name(last, str(file["hash"]))


def _plan_copies(
    shelf: Shelf, planned: Planned, sources: list[Address], to: Address, recursive: bool, exists: Exists
) -> None:
    destination = _destination(shelf, to, exists)
    for address, files in _all_files(shelf, sources, recursive):
        bucket = shelf.bucket(address.bucket)
        if bucket.files.bucket_id == destination.bucket.files.bucket_id:
            words = "a bucket keeps a content once, under one name"
            raise Failure(f"{address} and the target are in one bucket, and {words}", Code.USAGE)
        if not recursive and len(files) + len(sources) > 2:
            _check_folder(to.name, f"{to}/")
        named = [(file, joined(to.name, name) if is_folder(to.name) or recursive else to.name) for file, name in files]
        plan_copies(planned, bucket, named, destination)


def _plan_downloads(
    shelf: Shelf, planned: Planned, sources: list[Address], target: str, recursive: bool, exists: Exists
) -> None:
    path = Path(target)
    folder = recursive or path.is_dir() or target.endswith(("/", os.sep))
    for address, files in _all_files(shelf, sources, recursive):
        if not folder and len(files) + len(sources) > 2:
            _check_folder(target, f"{target}/")
        named = [
            (file, path / local_path(bridge_name(name), str(file["hash"])) if folder else path) for file, name in files
        ]
        plan_downloads(planned, shelf.bucket(address.bucket), named, exists)


def _all_files(
    shelf: Shelf, sources: list[Address], recursive: bool
) -> list[tuple[Address, list[tuple[dict[str, Any], str]]]]:
    return [(address, _remote_files(shelf, address, recursive)) for address in sources]
