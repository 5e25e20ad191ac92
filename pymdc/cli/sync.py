"""`pymdc sync`: make a bucket equal to a folder, or a folder equal to a bucket."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .addresses import PATH_OR_ADDRESS, format_address, is_address, parse_address
from .completions import complete_path_or_address
from .failures import Code, Failure, checked
from .local_files import Scan, folds_case
from .local_steps import check_target, copy_file, delete_files, place_for, tidy
from .lookups import find_bucket, list_files
from .names import bridge_name
from .running import transfer_options
from .session import common_options, pass_session
from .sync_plan import NAMES_FILE, names_in, names_text, plan_down, plan_up
from .transfers import BucketFiles, Download, Removal, Upload
from .work import Work, entries_of, interruptible

if TYPE_CHECKING:
    from .session import Session

__all__ = ["sync"]

_MOST_NAMES_BYTES = 64 * 1024 * 1024
_COPY_BYTES = 1024 * 1024


@click.command()
@click.argument("source", type=PATH_OR_ADDRESS, shell_complete=complete_path_or_address)
@click.argument("target", type=PATH_OR_ADDRESS, shell_complete=complete_path_or_address)
@click.option("--delete", is_flag=True, help="Delete in TARGET what SOURCE does not have.")
@click.option("--dry-run", "-n", is_flag=True, help="Say what would be done, and do nothing.")
@transfer_options
@common_options
@pass_session
def sync(session: Session, source: str, target: str, delete: bool, dry_run: bool, jobs: int, retries: int) -> None:
    """Make TARGET hold what SOURCE holds. One is a folder, the other a bucket.

    \b
    pymdc sync photos storj://photos/
    pymdc sync storj://photos/ photos

    Only files that differ are transferred: contents are compared, not times. A file that has other content in TARGET
    is replaced. Files that only TARGET has stay there, unless you add --delete. Links are left out.
    """
    work = Work(session, jobs=jobs, retries=retries, dry_run=dry_run)
    with interruptible():
        if is_address(source) == is_address(target):
            raise Failure("one of the two must be a folder, and the other a bucket: storj://BUCKET/", Code.USAGE)
        if is_address(target):
            _up(_Bucket.of(session, target), _folder(source), work, delete)
        else:
            _down(_Bucket.of(session, source), Path(target), work, delete)


def _folder(text: str) -> Path:
    folder = Path(text)
    if folder.is_dir():
        return folder
    what = "is not a folder. To send one file: pymdc cp" if folder.exists() else "does not exist"
    raise Failure(f"{text} {what}", Code.USAGE if folder.exists() else Code.NOT_FOUND)


@dataclass(frozen=True)
class _Bucket:
    """A bucket and its files.

    Attributes:
        at: the bucket, for transfers.
        listing: its files, without the `NAMES_FILE`s.
        holders: its `NAMES_FILE`s: usually one, or several after a command that was killed.
        number, names: the content of the newest of these.
    """

    at: BucketFiles
    listing: list[dict[str, Any]]
    holders: list[dict[str, Any]]
    number: int
    names: Mapping[str, list[str]]

    @classmethod
    def of(cls, session: Session, text: str) -> _Bucket:
        """Find a bucket and list it.

        Raises:
            Failure: there is no such bucket, or the address names a file; or a call failed.
        """
        from ..api import Files

        address = parse_address(text)
        if address.name:
            raise Failure(f"sync takes a whole bucket: {format_address(address.bucket)}", Code.USAGE)
        info = find_bucket(session, address.bucket)
        at = BucketFiles(str(info.get("name") or info["id"]), Files(info, session.credentials, client=session.client))
        entries = entries_of(list_files(session, info))
        holders = [entry for entry in entries if entry.get("filename") == NAMES_FILE]
        listing = [entry for entry in entries if entry.get("filename") != NAMES_FILE]
        small = [each for each in holders if 0 <= int(each.get("size") or 0) <= _MOST_NAMES_BYTES]
        read = [names_in(checked(at.files.download(holder))) for holder in small]
        number, names = max(read, key=lambda each: each[0], default=(0, {}))
        return cls(at, listing, holders, number, names)

    def write_names(self, names: Mapping[str, list[str]], work: Work) -> None:
        """Write the names of files with equal content into the bucket, if they have changed."""
        known = {file_hash: sorted(each) for file_hash, each in self.names.items()}
        old = self.holders
        if names and (names != known or len(old) != 1):
            text = names_text(names, self.number + 1)
            value = self.at.files.upload(text, name=NAMES_FILE, mimetype="application/json")
            if isinstance(value, Exception) or "error" in value:
                work.problem(self.at.address(NAMES_FILE), value)
                return
        elif names:
            return
        for holder in old:
            checked(self.at.files.delete(holder["hash"]))


def _up(bucket: _Bucket, folder: Path, work: Work, delete: bool) -> None:
    """Make a bucket equal to a folder."""
    local, found = work.read_folder(folder)
    if delete and not local and bucket.listing:
        raise Failure(f"{folder} has no files, and --delete would delete all files of the bucket", Code.USAGE)
    plan = plan_up(local, bucket.listing, bucket.names, delete=delete, fold=folds_case(folder))
    there = {entry["hash"] for entry in bucket.listing}
    work.transfer(
        [Upload(folder / path, bucket.at, bridge_name(path), found.files[path].size) for path in plan.upload],
        lambda result: there.add(result.value["hash"]) if not result.error else None,
    )
    if work.dry_run:
        there.update(local.values())
    else:
        bucket.write_names({each: names for each, names in plan.names.items() if each in there}, work)
    entries = {entry["hash"]: entry for entry in bucket.listing}
    old = [each for each, needed in plan.delete.items() if (needed <= there if needed else not work.failed)]
    work.transfer([Removal(bucket.at, entries[each]) for each in old])
    work.finish(f"nothing to do: the bucket has all files of {folder}")


def _down(bucket: _Bucket, folder: Path, work: Work, delete: bool) -> None:
    """Make a folder equal to a bucket."""
    check_target(folder)
    if not work.dry_run:
        folder.mkdir(parents=True, exist_ok=True)
    local, found = work.read_folder(folder, check_names=delete) if folder.is_dir() else ({}, Scan())
    if delete and local and not bucket.listing:
        raise Failure(f"the bucket has no files, and --delete would delete all files in {folder}", Code.USAGE)
    fold = not work.dry_run and folds_case(folder)
    plan = plan_down(local, bucket.listing, bucket.names, delete=delete, fold=fold)
    delete_files(folder, plan.clear, work)
    entries = {entry["hash"]: entry for entry in bucket.listing}
    places = {path: place_for(folder, path, work) for path in [*plan.download, *plan.copy]}
    downloads = [
        Download(bucket.at, entries[file_hash], place, "replace")
        for path, file_hash in plan.download.items()
        if (place := places[path]) is not None
    ]
    work.transfer(downloads)
    for path, source in plan.copy.items():
        if (place := places[path]) is not None:
            copy_file(folder / source, place, work)
    if not work.dry_run:
        tidy(folder, found, plan.download.values())
    if not work.failed:
        delete_files(folder, plan.delete, work)
    work.finish(f"nothing to do: {folder} has all files of the bucket")
