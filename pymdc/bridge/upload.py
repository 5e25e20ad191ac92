"""An upload of any size: find the file in the body, cut it into shards, hash and store them while they arrive.

`FilePart` finds the file in a multipart body, and `file_name` reads its name as the bridges of 2016 did: both do no
input and no output. `ShardWriter` hashes, cuts and stores.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import unquote_to_bytes

from multipart import (  # type: ignore[import-untyped]
    MultipartError,
    MultipartSegment,
    PushMultipartParser,
    parse_options_header,
)

from ..core.hashes import content_hash
from .blobs import BlobWriter
from .context import Bridge
from .errors import Refused
from .healing import broken_blobs
from .settings import GATHERED_BYTES, PIECE_BYTES, PIECES, SHARD_BYTES
from .store import Shard, Stored

if TYPE_CHECKING:
    from hashlib import _Hash as Hash

__all__ = ["FilePart", "ShardWriter", "boundary", "file_name"]

_HEADER_BYTES = 16 * 1024  # a file name may be long, but not longer than this
_PARAMETER = re.compile(r';\s*([\w*-]+)\s*=\s*("(?:[^"\\]|\\.)*"|[^;"\s]*)', re.ASCII | re.DOTALL)


def boundary(content_type: str | None) -> str:
    """Return the boundary of a multipart body, from its Content-Type header.

    Raises:
        Refused: the body is not multipart/form-data, or the header has no boundary.
    """
    kind, options = parse_options_header(content_type or "")
    if kind != "multipart/form-data":
        raise Refused(422, "The body is not multipart/form-data")
    if not options.get("boundary"):
        raise Refused(422, "The Content-Type of the body has no multipart boundary")
    return str(options["boundary"])


def file_name(disposition: str) -> str | None:
    """Return the file name in a Content-Disposition header, without folders; `None` if it has none.

    Names are UTF-8 and stay as they are, with percent signs. A backslash before a quote escapes the quote; any other
    one ends a folder's name, as on Windows. The encoded form (RFC 5987) is used only if the plain one is missing.

    Arguments:
        disposition: the header, decoded as Latin-1.
    """
    parameters = {name.lower(): value for name, value in _PARAMETER.findall(disposition)}
    if "filename" in parameters:
        value = parameters["filename"]
        if value.startswith('"'):
            value = re.sub(r'\\(["\\])', r"\1", value[1:-1])
        raw = value.encode("latin-1")
    elif "filename*" in parameters:
        raw = unquote_to_bytes(parameters["filename*"].rpartition("'")[2])
    else:
        return None
    name = re.split(r"[/\\]", raw.decode("utf-8", "replace"))[-1]
    return "" if name in (".", "..") else name


class FilePart:
    """Finds the first file in a multipart body, which arrives in pieces.

    Attributes:
        name: the file's name; empty if it has none.
        mimetype: its MIME type, in lower case, without parameters.
        found: whether the beginning of the file has arrived.
    """

    def __init__(self, boundary: str) -> None:
        try:
            self._parser = PushMultipartParser(
                boundary, header_charset="latin-1", max_header_size=_HEADER_BYTES, max_header_count=32
            )
        except MultipartError as error:
            raise Refused(422, f"Malformed multipart data: {error}") from None
        self.name = ""
        self.mimetype = "text/plain"
        self.found = False
        self._inside = False

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Take the next piece of the body, and yield those bytes in it that belong to the file.

        Raises:
            Refused: this is not a multipart body.
        """
        if self._parser.closed or not data:
            return  # bytes after the last boundary are ignored
        try:
            for event in self._parser.parse(data):
                if isinstance(event, MultipartSegment):
                    self._begin(event)
                elif event is None:
                    self._inside = False
                elif self._inside:
                    yield event
        except MultipartError as error:
            raise Refused(422, f"Malformed multipart data: {error}") from None

    def finish(self) -> None:
        """Take the end of the body.

        Raises:
            Refused: the body ended too early, or there was no file in it.
        """
        try:
            self._parser.close()
        except MultipartError:
            raise Refused(422, "Unexpected end of multipart data") from None
        if not self.found:
            raise Refused(422, "No file in the multipart data")

    def _begin(self, segment: MultipartSegment) -> None:
        name = file_name(segment.header("Content-Disposition", ""))
        kind = segment.content_type
        # A part without a file name is a field, unless its type says that it is bytes.
        if self.found or (name is None and kind != "application/octet-stream"):
            return
        self.found = self._inside = True
        self.name = name or ""
        self.mimetype = kind or self.mimetype


class ShardWriter:
    """Hashes a file while it arrives, cuts it into shards of exactly 8 MiB, and stores them.

    A piece of up to about 1 MiB is hashed and written while the next one arrives. `add` waits if both are full, so at
    most two pieces are in memory. Where many uploads are under way, pieces are smaller. A shard is made durable while
    the next one is written. Call `finish` at the end, or `settle` after an error: after them nothing more is written.
    """

    def __init__(self, bridge: Bridge, upload: str) -> None:
        self._bridge = bridge
        self._upload = upload
        self._file = hashlib.sha256()
        self._pieces: list[bytes] = []
        self._gathered = 0
        self._shard = _OpenShard(f"{upload}/0", self._file)
        self._writing: asyncio.Task[None] | None = None
        self._keeping: asyncio.Task[Shard] | None = None
        self._shards: list[Shard] = []
        self._blobs: dict[str, str] = {}
        self._names: set[str] = set()
        self.size = 0

    async def add(self, data: bytes) -> None:
        """Add a piece of the file.

        Raises:
            Full: the disk of the store is full.
            Unavailable: the store failed.
        """
        self.size += len(data)
        while data:
            piece = data[: SHARD_BYTES - self._shard.size]
            data = data[len(piece) :]
            self._pieces.append(piece)
            self._gathered += len(piece)
            self._shard.size += len(piece)
            if self._shard.size == SHARD_BYTES:
                await self._end_shard()
            elif self._gathered >= self._enough() or len(self._pieces) == PIECES:
                await self._write_pieces()

    async def finish(self) -> tuple[Stored, set[str]]:
        """Store the last shard, and return the file and what `broken_blobs` says of its shards.

        When this returns, the whole file is durable.

        Raises:
            Full: the disk of the store is full.
            Unavailable: the store failed.
        """
        if self._shard.size:
            await self._end_shard()
        _, broken = await asyncio.gather(self._settled(), broken_blobs(self._bridge, self._names))
        return Stored(content_hash(self._file.hexdigest()), self.size, tuple(self._shards)), broken

    async def settle(self) -> Sequence[object]:
        """Wait until the last writes have ended, and return their results or exceptions."""
        under_way = [task for task in (self._writing, self._keeping) if task is not None]
        results = await asyncio.gather(*under_way, return_exceptions=True)
        self._shard.close()
        return results

    def _enough(self) -> int:
        return min(PIECE_BYTES, GATHERED_BYTES // max(1, self._bridge.limits.uploads.under_way))

    async def _write_pieces(self) -> None:
        await self._written()
        pieces, self._pieces, self._gathered = self._pieces, [], 0
        self._writing = asyncio.create_task(self._bridge.in_store(self._write, self._shard, pieces))

    async def _written(self) -> None:
        if self._writing is not None:
            await asyncio.shield(self._writing)
            self._writing = None

    async def _end_shard(self) -> None:
        await self._write_pieces()
        await self._written()
        await self._kept()
        shard, name = self._shard, content_hash(self._shard.sha256.hexdigest())
        self._names.add(name)
        self._keeping = asyncio.create_task(self._bridge.keep(shard.size, self._keep, shard, name))
        self._shard = _OpenShard(f"{self._upload}/{len(self._shards) + 1}", hashlib.sha256())

    async def _settled(self) -> None:
        await self._kept()
        if self._blobs:
            await self._bridge.in_store(self._bridge.blobs.settle, self._upload)

    async def _kept(self) -> None:
        if self._keeping is not None:
            self._shards.append(await asyncio.shield(self._keeping))
            self._keeping = None

    def _write(self, shard: _OpenShard, pieces: list[bytes]) -> None:
        if shard.writing is None:
            shard.writing = self._bridge.blobs.writer(shard.blob)
        shard.writing.write(pieces)
        for piece in pieces:
            self._file.update(piece)
            if shard.sha256 is not self._file:
                shard.sha256.update(piece)

    def _keep(self, shard: _OpenShard, name: str) -> Shard:
        assert shard.writing is not None, "no shard is empty"
        with closing(shard.writing):
            if name in self._blobs:  # the file has the same shard twice
                shard.writing.discard()
            else:
                shard.writing.commit()
                self._blobs[name] = shard.blob
        return Shard(name, shard.size, self._blobs[name])


@dataclass
class _OpenShard:
    """A shard that is being received. The first shard and the file have the same bytes so far: they share one hash."""

    blob: str
    sha256: Hash
    size: int = 0
    writing: BlobWriter | None = None

    def close(self) -> None:
        if self.writing is not None:
            self.writing.close()
