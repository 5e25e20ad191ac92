"""Blobs: the stored shards of files, in a folder or in an object store such as S3.

A blob's name is `upload/number`. Each upload writes under its own id, so the blobs of an upload that died can be found
and removed.
"""

from __future__ import annotations

import asyncio
import errno
import hashlib
import logging
import re
from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
from contextlib import aclosing, closing, contextmanager
from datetime import datetime
from pathlib import Path
from typing import Protocol

import obstore
from anyio import CapacityLimiter, to_thread
from obstore.exceptions import BaseError
from obstore.store import LocalStore, ObjectStore

from ..core.hashes import content_hash
from .engine import Engine
from .errors import Damaged, Full, Unavailable
from .folder import Folder
from .objects import IDENTITY, Objects
from .settings import HASH_THREADS

__all__ = ["BlobWriter", "Blobs"]

_log = logging.getLogger("pymdc.bridge")
_OWN = re.compile(r"[0-9a-f]{32}/\d+(#1)?", re.ASCII)  # the names of blobs and of incomplete files
_FULL = (errno.ENOSPC, errno.EDQUOT)


class _Writer(Protocol):
    def write(self, pieces: Sequence[bytes]) -> None: ...
    def commit(self) -> None: ...
    def discard(self) -> None: ...
    def close(self) -> None: ...


class Blobs:
    """The store at `location`: a folder (made if it is missing), or a URL for obstore, such as `s3://bucket/prefix`.

    All methods but the asynchronous ones block. Threads may share it. Each method may raise `Unavailable`.

    Arguments:
        spool: the folder for what waits to be sent to an object store; by default that of the system.

    Attributes:
        engine: whether the store answers.
        location: the folder or the URL.
        is_folder: whether it is a folder; then no method needs a whole blob in memory.
    """

    def __init__(self, location: str, spool: Path | None = None) -> None:
        self.engine = Engine("the store")
        self.location = location
        self._hashing = CapacityLimiter(HASH_THREADS)
        self._engine: Folder | Objects
        self._store: ObjectStore
        with _translated(Engine("the store")):  # the store is not asked yet, so this does not count as its answer
            if "://" in location:
                self._engine = Objects(location, spool)
                self._store = self._engine.store
            else:
                self._engine = Folder(Path(location).resolve())
                self._store = LocalStore(self._engine.path)
        self.is_folder = isinstance(self._engine, Folder)

    def put(self, name: str, data: bytes | bytearray) -> None:
        """Store a blob. When this returns, the blob is on the disk, or in S3."""
        with closing(self.writer(name)) as writing:
            writing.write([bytes(data)])
            writing.commit()
        self.settle(name.partition("/")[0])

    def writer(self, name: str) -> BlobWriter:
        """Begin a blob.

        Raises:
            Full: the disk is full.
        """
        with _translated(self.engine):
            return BlobWriter(self._engine.writer(name), self.engine)

    def settle(self, upload: str) -> None:
        """Make the names of an upload's blobs durable. Acknowledge an upload only after this."""
        with _translated(self.engine):
            self._engine.settle(upload)

    async def read(self, name: str, start: int = 0, stop: int | None = None) -> AsyncGenerator[bytes | bytearray, None]:
        """Yield the bytes of a blob from `start` up to `stop`, or to its end, in pieces of at most `BLOB_BYTES`.

        Raises:
            Unavailable: the store failed, or there is no such blob; then its cause is a `FileNotFoundError`.
        """
        with _translated(self.engine):
            reading: AsyncGenerator[bytes | bytearray, None] = self._engine.read(name, start, stop)
            async with aclosing(reading) as pieces:
                async for piece in pieces:
                    yield piece

    async def read_checked(self, name: str, size: int, shard: str) -> AsyncGenerator[bytes | bytearray, None]:
        """Yield the bytes of a blob, and check that it has `size` bytes and the hash `shard`.

        The bytes are hashed while they are yielded. The last piece is yielded only if the hash is right.

        Raises:
            Damaged: the blob has another size or hash, or does not exist.
            Unavailable: the store failed.
        """
        hashed = _Hashed(self._engine, name, self.engine, self._hashing)
        left = size
        try:
            async with aclosing(self.read(name)) as pieces:
                async for piece in pieces:
                    left -= len(piece)
                    hashed.update(piece)
                    if left <= 0 and (left < 0 or content_hash(await hashed.digest()) != shard):
                        raise Damaged
                    yield piece
            if left > 0:
                raise Damaged
        except Unavailable as error:
            if isinstance(error.__cause__, FileNotFoundError):
                raise Damaged from error
            raise
        finally:
            await hashed.close()

    def urls(self, names: Sequence[str], seconds: int) -> Sequence[str] | None:
        """Return a URL for each blob, which gives it to anybody for `seconds`. `None`: the store has no such URLs."""
        with _translated(self.engine):
            return self._engine.urls(names, seconds)

    def delete(self, name: str) -> None:
        """Remove a blob. A blob that is not there is no error."""
        with _translated(self.engine):
            self._engine.delete(name)

    def delete_upload(self, upload: str) -> None:
        """Remove every blob of an upload, and files that a killed process has left incomplete."""
        with _translated(self.engine):
            self._engine.delete_upload(upload)

    def pages(self, skip: Callable[[str], None] = lambda name: None) -> Iterator[list[tuple[str, datetime]]]:
        """Yield the names of all blobs, some at a time, and when each was written.

        Arguments:
            skip: called with each name that is not a blob's.
        """
        with _translated(self.engine):
            for page in self._engine.pages():
                own = [(name, written) for name, written in page if written is not None and _OWN.fullmatch(name)]
                for name in {name for name, _ in page} - {name for name, _ in own} - {IDENTITY}:
                    skip(name)
                yield own

    def content(self, name: str) -> bytes:
        """Return the bytes of a blob."""
        with _translated(self.engine):
            return bytes(obstore.get(self._store, name).bytes())

    def identity(self) -> str | None:
        """Return the identity of the database that the store belongs to; `None` if the store is new."""
        with _translated(self.engine):
            try:
                return bytes(obstore.get(self._store, IDENTITY).bytes()).decode("ascii", "replace")
            except FileNotFoundError:
                return None

    def mark(self, identity: str) -> None:
        """Write the identity of its database into the store."""
        with _translated(self.engine):
            self._engine.mark(IDENTITY, identity.encode())

    def size(self, name: str) -> int | None:
        """Return how many bytes a blob has; `None` if there is no such blob."""
        with _translated(self.engine):
            try:
                return obstore.head(self._store, name)["size"]
            except FileNotFoundError:
                return None

    def check(self) -> None:
        """Ask the store whether it works.

        Raises:
            Unavailable: it does not.
        """
        with _translated(self.engine):
            self._engine.check()


class BlobWriter:
    """A blob that is being written. Its methods block, and each may raise `Unavailable` or `Full`."""

    def __init__(self, writer: _Writer, engine: Engine) -> None:
        self.engine = engine
        self._writer = writer

    def write(self, pieces: Sequence[bytes]) -> None:
        """Add pieces, at most `PIECES` of them."""
        with _translated(self.engine):
            self._writer.write(pieces)

    def commit(self) -> None:
        """Complete the blob. Its bytes are durable when this returns, its name after `Blobs.settle`."""
        with _translated(self.engine):
            self._writer.commit()

    def discard(self) -> None:
        """Remove what was written."""
        with _translated(self.engine):
            self._writer.discard()

    def close(self) -> None:
        """Free file and memory. A blob that is not complete is left for `Blobs.delete_upload`."""
        self._writer.close()


class _Hashed:
    """The SHA-256 of a blob while it is read. A file is hashed in another thread, other blobs piece by piece."""

    def __init__(self, store: Folder | Objects, name: str, engine: Engine, threads: CapacityLimiter) -> None:
        self.engine = engine
        self._sha256 = hashlib.sha256()
        self._beside: asyncio.Task[str] | None = None
        if isinstance(store, Folder):
            self._beside = asyncio.create_task(to_thread.run_sync(store.digest, name, limiter=threads))

    def update(self, piece: bytes | bytearray) -> None:
        if self._beside is None:
            self._sha256.update(piece)

    async def digest(self) -> str:
        with _translated(self.engine):
            return self._sha256.hexdigest() if self._beside is None else await asyncio.shield(self._beside)

    async def close(self) -> None:
        if self._beside is not None:
            self._beside.cancel()  # it may still wait for a thread
            await asyncio.gather(self._beside, return_exceptions=True)


@contextmanager
def _translated(engine: Engine) -> Iterator[None]:
    try:
        yield
    except (BaseError, OSError) as error:
        if isinstance(error, OSError) and error.errno in _FULL:
            _log.error("the disk of the store is full: %s", error)
            raise Full from error
        if not isinstance(error, FileNotFoundError):  # a missing blob does not mean that the store is away
            engine.failed(str(error))
        raise Unavailable("The store is not available, try again later") from error
    engine.answered()
