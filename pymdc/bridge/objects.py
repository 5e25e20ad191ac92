"""Blobs in an object store, such as a bucket of S3."""

from __future__ import annotations

import asyncio
import mmap
import os
import tempfile
from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import obstore
from obstore.exceptions import BaseError
from obstore.store import AzureStore, GCSStore, ObjectStore, S3Store, from_url

from .settings import BLOB_BYTES

if TYPE_CHECKING:
    from obstore import GetOptions
    from obstore.store import ClientConfig, RetryConfig

__all__ = ["IDENTITY", "Objects"]

IDENTITY = "identity"  # the object that says which database this store belongs to
# Where obstore finds credentials for S3. If none is set, it asks the metadata service that machines of Amazon have.
_CREDENTIALS = (
    "AWS_ACCESS_KEY_ID",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    "AWS_SKIP_SIGNATURE",
)
_NO_CREDENTIALS = "S3 needs credentials: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"

_ELSEWHERE = (S3Store, GCSStore, AzureStore)  # the stores that are reached over a network

# How long an S3 server may be silent is limited. A whole reply is not: a slow reader of the data channel delays it.
_CLIENT: ClientConfig = {
    "connect_timeout": timedelta(seconds=5),
    "read_timeout": timedelta(seconds=30),
    "timeout": timedelta(days=1),
    "allow_http": True,  # the endpoint's URL says whether it is HTTPS
}
# The server counts as silent until it replies, even while a shard is sent to it: a slow line needs time for all of it.
# Clients wait longer than this for their reply.
_SEND_SECONDS = 120.0
# A short failure is retried, but not for longer than the client waits for its reply.
_RETRY: RetryConfig = {"max_retries": 3, "retry_timeout": timedelta(seconds=10)}


class Objects:
    """The object store at a URL. Every method but `read` blocks, and may raise what obstore raises.

    Arguments:
        spool: the folder for blobs that are not complete yet, or wait to be sent; by default that of the system.
    """

    def __init__(self, url: str, spool: Path | None = None) -> None:
        self._spool = spool
        self._lacks_credentials = url.startswith("s3://") and not any(os.environ.get(name) for name in _CREDENTIALS)
        if self._lacks_credentials and os.environ.get("AWS_EC2_METADATA_DISABLED", "").lower() == "true":
            raise PermissionError(_NO_CREDENTIALS)  # obstore ignores this variable, and would ask all the same
        self.store: ObjectStore = from_url(url, client_options=_CLIENT, retry_config=_RETRY)
        self._sending = self.store
        if isinstance(self.store, _ELSEWHERE):
            patient: ClientConfig = {**_CLIENT, "read_timeout": timedelta(seconds=_SEND_SECONDS)}
            self._sending = from_url(url, client_options=patient, retry_config=_RETRY)

    def writer(self, name: str) -> _ObjectWriter:
        """Begin a blob."""
        return _ObjectWriter(self._sending, name, self._spool)

    def mark(self, name: str, data: bytes) -> None:
        """Keep a small object that is no blob."""
        obstore.put(self.store, name, data, use_multipart=False)

    def settle(self, upload: str) -> None:
        """Do nothing: an object store keeps what it has accepted."""

    async def read(self, name: str, start: int, stop: int | None) -> AsyncGenerator[bytes, None]:
        """Yield the bytes of a blob from `start` up to `stop`, or to its end, in pieces of at most `BLOB_BYTES`.

        The next piece is fetched while the one before is used.
        """
        if start == stop:  # stores refuse an empty range
            return
        options: GetOptions = {} if stop is None else {"range": (start, stop)}
        reply = await obstore.get_async(self.store, name, options=options)
        chunks = aiter(reply.stream(min_chunk_size=BLOB_BYTES))
        ahead = asyncio.ensure_future(_next(chunks))
        try:
            while chunk := await ahead:
                ahead = asyncio.ensure_future(_next(chunks))
                for begin in range(0, len(chunk), BLOB_BYTES):
                    yield chunk[begin : begin + BLOB_BYTES]
        finally:
            ahead.cancel()
            await asyncio.gather(ahead, return_exceptions=True)

    def delete(self, name: str) -> None:
        """Remove a blob. A blob that is not there is no error."""
        with suppress(FileNotFoundError):  # which some stores raise
            obstore.delete(self.store, name)

    def delete_upload(self, upload: str) -> None:
        """Remove every blob of an upload."""
        for page in obstore.list(self.store, upload):
            obstore.delete(self.store, [item["path"] for item in page])

    def pages(self) -> Iterator[list[tuple[str, datetime | None]]]:
        """Yield the names of all objects, some at a time, and when each was written."""
        for page in obstore.list(self.store):
            yield [(item["path"], item["last_modified"]) for item in page]

    def check(self) -> None:
        """Raise an error if the store does not answer. It costs one short request, however full the store is."""
        try:
            self._ask()
        except BaseError as error:
            if self._lacks_credentials:
                raise PermissionError(_NO_CREDENTIALS) from error
            raise

    def _ask(self) -> None:
        try:
            obstore.head(self.store, IDENTITY)
        except FileNotFoundError:  # no bridge has used this store yet, or it has no such bucket: a list tells which
            next(iter(obstore.list(self.store, chunk_size=1)), None)

    def urls(self, names: Sequence[str], seconds: int) -> list[str] | None:
        """Return a URL for each blob, which gives it to anybody for `seconds`. `None`: the store has no such URLs."""
        if not isinstance(self.store, _ELSEWHERE):
            return None
        return list(obstore.sign(self.store, "GET", list(names), timedelta(seconds=seconds)))


class _ObjectWriter:
    """A blob that is being written. It is collected in a temporary file without a name, and sent as a whole.

    So slow clients take space on the disk, but no memory. Only blobs that are being sent are in memory: see `SENDS`.
    """

    def __init__(self, store: ObjectStore, name: str, spool: Path | None) -> None:
        self._store = store
        self._name = name
        self._file = tempfile.TemporaryFile(dir=spool, buffering=0)  # noqa: SIM115 -- closed when it is done with

    def write(self, pieces: Sequence[bytes]) -> None:
        """Add pieces."""
        data = memoryview(b"".join(pieces))
        while data:
            data = data[self._file.write(data) :]

    def commit(self) -> None:
        """Send the blob."""
        size = self._file.tell()
        # Use `mmap`: the system gets this memory back at once. With `bytes`, each thread might keep it.
        data = memoryview(mmap.mmap(-1, max(size, 1)))[:size]
        self._file.seek(0)
        left = data
        while left:
            left = left[self._file.readinto(left) :]
        obstore.put(self._store, self._name, data, use_multipart=False)
        self.close()

    def discard(self) -> None:
        """Forget what was written."""
        self.close()

    def close(self) -> None:
        """Close the file. Closing it again does nothing."""
        self._file.close()


async def _next(chunks: Any) -> bytes:
    try:
        return memoryview(await anext(chunks)).tobytes()
    except StopAsyncIteration:
        return b""
