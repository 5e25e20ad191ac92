"""What the bridge keeps: blobs, each a shard of a file, in a folder or in an S3 bucket.

A blob's name is `upload/number`: an upload writes under its own id, so what a dead upload left behind is found again.
"""

from __future__ import annotations

import logging
import os
import shutil
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import obstore
from obstore.exceptions import BaseError
from obstore.store import LocalStore, ObjectStore, from_url

from .errors import Unavailable
from .settings import BLOB_BYTES, MESSAGE_BYTES

if TYPE_CHECKING:
    from obstore.store import ClientConfig, RetryConfig

__all__ = ["Blobs"]

_log = logging.getLogger("pymdc.bridge")
# Silence of an S3 server is bounded; a whole reply is not, since a slow reader of the data channel holds it back.
_CLIENT: ClientConfig = {
    "connect_timeout": timedelta(seconds=5),
    "read_timeout": timedelta(seconds=30),
    "timeout": timedelta(days=1),
    "allow_http": True,  # whoever names an endpoint says which it is
}
# A hiccup is waited for, but no longer than the client waits for its reply.
_RETRY: RetryConfig = {"max_retries": 3, "retry_timeout": timedelta(seconds=10)}


class Blobs:
    """The store at `location`: a folder, made if missing, or a URL that obstore knows, such as `s3://bucket/prefix`.

    Every method but `read` blocks, threads may share it, and each may raise `Unavailable`.
    """

    def __init__(self, location: str) -> None:
        self._folder = None if "://" in location else Path(location).resolve()
        self._store: ObjectStore
        with _translated():
            if self._folder is None:
                self._store = from_url(location, client_options=_CLIENT, retry_config=_RETRY)
            else:
                self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
                self._store = LocalStore(self._folder, automatic_cleanup=True)

    def put(self, name: str, data: bytes | bytearray) -> None:
        """Keep a blob. When this returns, it is on the disk, or in S3."""
        with _translated():
            obstore.put(self._store, name, data, use_multipart=False)
            if self._folder is not None:
                _sync(self._folder / name)
                _sync(self._folder / name.partition("/")[0])

    async def read(self, name: str) -> AsyncIterator[bytes]:
        """Yield a blob in pieces of at most `MESSAGE_BYTES`. Little more than `BLOB_BYTES` are in memory."""
        with _translated():
            reply = await obstore.get_async(self._store, name)
            async for chunk in reply.stream(min_chunk_size=BLOB_BYTES):
                view = memoryview(chunk)
                for start in range(0, len(view), MESSAGE_BYTES):
                    yield bytes(view[start : start + MESSAGE_BYTES])

    def delete(self, name: str) -> None:
        """Remove a blob. One that is not there is no error."""
        with _translated():
            try:
                obstore.delete(self._store, name)
            except FileNotFoundError:
                _log.debug("blob %s was removed before", name)

    def delete_upload(self, upload: str) -> None:
        """Remove every blob of an upload, and in a folder what a killed process left half written."""
        with _translated():
            if self._folder is not None:
                with suppress(FileNotFoundError):  # of several processes that clean up, another one was first
                    shutil.rmtree(self._folder / upload)
            else:
                for page in obstore.list(self._store, upload):
                    obstore.delete(self._store, [item["path"] for item in page])

    def pages(self) -> Iterator[list[tuple[str, datetime]]]:
        """Yield the names of all blobs, and when each was written, some at a time."""
        with _translated():
            for page in obstore.list(self._store):
                yield [(item["path"], item["last_modified"]) for item in page]

    def size(self, name: str) -> int | None:
        """Return how many bytes a blob has, or `None` where there is none."""
        with _translated():
            try:
                return obstore.head(self._store, name)["size"]
            except FileNotFoundError:
                return None

    def check(self) -> None:
        """Ask the store for a sign of life; `Unavailable` where it gives none."""
        with _translated():
            if self._folder is not None:
                # Asked of the system: a file system that is mounted read-only refuses even the superuser.
                if not os.access(f"{self._folder}/.", os.R_OK | os.W_OK | os.X_OK):
                    raise PermissionError(f"{self._folder} cannot be written to")
            else:
                obstore.list_with_delimiter(self._store)


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except (BaseError, OSError) as error:
        _log.warning("the store failed: %s", str(error).partition("\n")[0])  # what follows is for its own developers
        raise Unavailable("The store is not available, try again later") from error


def _sync(path: Path) -> None:
    # Neither writing nor renaming is durable before this.
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
