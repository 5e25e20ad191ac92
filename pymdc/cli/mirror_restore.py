"""`pymdc mirror FOLDER storj://`: make the buckets of a mirror at a bridge, and send their files."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .addresses import format_address
from .lookups import list_files
from .mirror_manifest import BUCKETS, Kept, Manifest, read_json, write_json
from .replies import entries, entry, list_buckets
from .transfers import BucketFiles, Upload, sendable
from .work import Work, entries_of

if TYPE_CHECKING:
    from ..api import Keys
    from .session import Session

__all__ = ["restore"]

_NO_BUCKET = "0" * 24  # stands for a bucket that a dry run does not make


def restore(session: Session, folder: Path, work: Work, keys: bool) -> None:
    """Send a mirror to an account.

    Arguments:
        keys: add the mirror's public keys to the account.
    """
    manifest = Manifest.read(folder)
    if keys:
        _add_keys(session, manifest, work)
    local, found = work.read_folder(folder / BUCKETS)
    sizes = {path: state.size for path, state in found.files.items()}
    record = _Record(session, folder, dry_run=work.dry_run)
    uploads = []
    for kept in manifest.buckets:
        bucket = record.bucket_for(kept, work)
        if bucket is not None:
            uploads += _uploads(session, kept, bucket, folder / BUCKETS, local, sizes, work)
    work.transfer(uploads)
    if manifest.keys and not keys:
        work.output.detail(f"{len(manifest.keys)} public keys are in the mirror. To add them to the account: --keys")
    work.finish("nothing to do: the account has the whole mirror")


def _add_keys(session: Session, manifest: Manifest, work: Work) -> None:
    from ..api import Keys

    mine = Keys(session.credentials, client=session.client)
    there = {each["key"] for each in entries(mine.list(), "key")}
    named = [each.get("key") for each in manifest.keys if isinstance(each, dict)]
    for key in [each for each in named if isinstance(each, str) and each not in there]:
        _add(mine, key, work)


def _add(mine: Keys, key: str, work: Work) -> None:
    from ..api import ECDSA

    try:
        value: Any = {} if work.dry_run else mine.create(ECDSA(key))
    except ValueError as error:
        work.problem(f"the key {key}", str(error))
    else:
        work.told("key", f"the key {key}", value)


class _Record:
    """The file `restored.json` in a mirror: which bucket of the account was made for which bucket of the mirror.

    If the command was killed between making a bucket and writing the record, the bucket is found again: it has the
    name, and was not there when the first command began.
    """

    def __init__(self, session: Session, folder: Path, *, dry_run: bool) -> None:
        from ..api import Buckets

        self._session, self._path, self._dry_run = session, folder / "restored.json", dry_run
        self._mine = Buckets(session.credentials, client=session.client)
        self._there: dict[str, dict[str, Any]] = {each["id"]: each for each in list_buckets(session)}
        self._all = read_json(self._path) if self._path.exists() else {}
        account = f"{session.bridge.url} {session.email or ''}"
        self._made = self._all.setdefault(account, {"before": sorted(self._there), "buckets": {}})
        self._write()

    def bucket_for(self, kept: Kept, work: Work) -> dict[str, Any] | None:
        """Return the account's bucket for one of the mirror, and make it if need be; return `None` if that fails."""
        known = self._there.get(self._made["buckets"].get(kept.bucket.get("id"), ""))
        found = known or self._unrecorded(kept)
        if found is None:
            found = self._imagined(kept.bucket, work) if self._dry_run else self._created(kept.bucket, work)
        if found is None:
            return None
        self._made["buckets"][kept.bucket.get("id")] = found["id"]
        self._write()
        return found

    def _unrecorded(self, kept: Kept) -> dict[str, Any] | None:
        taken = {*self._made["before"], *self._made["buckets"].values()}
        new = [bucket for bucket in self._there.values() if bucket["id"] not in taken]
        return next((bucket for bucket in new if bucket["name"] == kept.bucket.get("name")), None)

    def _imagined(self, bucket: Mapping[str, Any], work: Work) -> dict[str, Any]:
        work.tell("creation", target=format_address(str(bucket.get("name"))))
        return {**bucket, "id": _NO_BUCKET}

    def _created(self, bucket: Mapping[str, Any], work: Work) -> dict[str, Any] | None:
        """Make a bucket; return `None` if that fails."""
        address = format_address(str(bucket.get("name")))
        try:
            value: Any = self._mine.create(bucket["name"], bucket["storage"], bucket["transfer"], bucket["pubkeys"])
        except (LookupError, TypeError, ValueError) as error:  # the file may hold anything
            work.problem(address, f"mirror.json does not describe a bucket: {error}")
            return None
        return entry(value, "id") if work.told("creation", address, value) else None

    def _write(self) -> None:
        if not self._dry_run:
            write_json(self._path, self._all)


def _uploads(
    session: Session,
    kept: Kept,
    bucket: Mapping[str, Any],
    folder: Path,
    local: Mapping[str, str],
    sizes: Mapping[str, int],
    work: Work,
) -> list[Upload]:
    """Return the uploads of the files that a bucket lacks."""
    from ..api import Files

    at = BucketFiles(str(bucket.get("name")), Files(bucket["id"], session.credentials, client=session.client))
    listing = [] if bucket["id"] == _NO_BUCKET else entries_of(list_files(session, bucket))
    there = {entry["hash"]: entry for entry in listing}
    uploads = []
    for file in kept.files:
        place = kept.place(file)
        if _is_there(file, there.get(file["hash"])):
            continue
        if local.get(place) == file["hash"]:
            name = file["filename"] if isinstance(file.get("filename"), str) else file["hash"]
            uploads.append(Upload(folder / place, at, name, sizes[place], mimetype=sendable(file.get("mimetype"))))
        else:
            what = "is not the file that mirror.json names" if place in local else "is missing"
            work.problem(str(folder / place), f"{what}. To fetch it, mirror the account again")
    return uploads


def _is_there(file: Mapping[str, Any], entry: Mapping[str, Any] | None) -> bool:
    """Tell whether a bucket has a file under its name. A name that cannot be sent counts as equal."""
    if entry is None:
        return False
    name = file.get("filename")
    return entry.get("filename") == name or not isinstance(name, str) or not name.isprintable()
