"""`pymdc mirror`: copy a whole account into a folder, and from there to another bridge."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .addresses import PATH_OR_ADDRESS, SCHEME, is_address, parse_address
from .completions import complete_path_or_address
from .failures import Code, Failure
from .local_files import Scan, folds_case
from .local_steps import check_target, delete_files, place_for, tidy
from .lookups import list_files
from .mirror_manifest import BUCKETS, Kept, Manifest, check_mirror, folder_names
from .replies import list_buckets, list_of
from .running import transfer_options
from .session import common_options, pass_session
from .transfers import BucketFiles, Download
from .work import Work, interruptible

if TYPE_CHECKING:
    from .session import Session

__all__ = ["mirror"]


@click.command()
@click.argument("source", type=PATH_OR_ADDRESS, shell_complete=complete_path_or_address)
@click.argument("target", type=PATH_OR_ADDRESS, shell_complete=complete_path_or_address)
@click.option("--delete", is_flag=True, help="Delete in a mirror what the account no longer has.")
@click.option(
    "--keys",
    is_flag=True,
    help="Add the mirror's public keys to the account: everybody who has one of them can use it.",
)
@click.option("--dry-run", "-n", is_flag=True, help="Say what would be done, and do nothing.")
@transfer_options
@common_options
@pass_session
def mirror(
    session: Session, source: str, target: str, delete: bool, keys: bool, dry_run: bool, jobs: int, retries: int
) -> None:
    """Copy a whole account into a folder, or from there to an account.

    \b
    pymdc mirror storj:// FOLDER
    pymdc --profile NEW mirror FOLDER storj://

    The folder gets a folder for each bucket, and mirror.json with what the bridge tells: names, limits and keys. So the
    second command moves everything to another bridge. Only files that are missing are transferred.
    """
    work = Work(session, jobs=jobs, retries=retries, dry_run=dry_run)
    with interruptible():
        if is_address(source) == is_address(target):
            raise Failure(f"one of the two must be a folder, and the other the account: {SCHEME}", Code.USAGE)
        if parse_address(source if is_address(source) else target).bucket:
            raise Failure(f"mirror takes a whole account: {SCHEME}. For one bucket: pymdc sync", Code.USAGE)
        if (keys and is_address(source)) or (delete and is_address(target)):
            raise Failure("--delete is for mirroring into a folder, --keys for the way back", Code.USAGE)
        if is_address(source):
            _save(session, Path(target), work, delete)
        else:
            from .mirror_restore import restore

            restore(session, Path(source), work, keys)


def _save(session: Session, folder: Path, work: Work, delete: bool) -> None:
    """Copy an account into a folder."""
    check_target(folder)
    check_mirror(folder)
    manifest = _listed(session, fold=folder.is_dir() and folds_case(folder))
    below = folder / BUCKETS
    if not work.dry_run:
        folder.mkdir(parents=True, exist_ok=True)
        manifest.write(folder)
        below.mkdir(exist_ok=True)
    local, found = work.read_folder(below, check_names=delete) if below.is_dir() else ({}, Scan())
    downloads = []
    for kept in manifest.buckets:
        bucket = _opened(session, kept.bucket)
        missing = [file for file in kept.files if local.get(kept.place(file)) != file["hash"]]
        places = [(file, place_for(below, kept.place(file), work)) for file in missing]
        downloads += [Download(bucket, file, place, "replace") for file, place in places if place is not None]
    work.transfer(downloads)
    if not work.dry_run:
        tidy(below, found, {download.file["hash"] for download in downloads})
    if delete and not work.failed:
        delete_files(below, sorted(local.keys() - manifest.places), work)
    work.finish(f"nothing to do: {folder} has the whole account")


def _listed(session: Session, *, fold: bool) -> Manifest:
    """Ask the bridge for everything about the account."""
    from ..api import Keys

    keys = list_of(Keys(session.credentials, client=session.client).list())
    buckets = list_buckets(session)
    kept = [
        Kept.of(name, bucket, list_files(session, bucket), fold=fold)
        for name, bucket in zip(folder_names(buckets), buckets, strict=True)
    ]
    return Manifest(session.bridge.url, session.email, keys, kept)


def _opened(session: Session, bucket: dict[str, Any]) -> BucketFiles:
    from ..api import Files

    return BucketFiles(str(bucket.get("name")), Files(bucket, session.credentials, client=session.client))
