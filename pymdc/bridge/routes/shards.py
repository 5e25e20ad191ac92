"""Direct downloads: a shard by plain HTTP.

A client that sends `x-direct: 1` with GET /buckets/:id/files/:hash gets pointers with one more field, `url`. GET on
that URL, without credentials, returns the bytes of the shard. `Range` with one range of bytes, `If-Range` and `HEAD`
work, and the `ETag` is the shard's hash in quotes. The URL can be used any number of times within an hour, so an
interrupted download can continue. The bucket's `transfer` is charged when the URL is handed out. The data channel of
the same pointer can then be used once without a charge.

If the shards are in S3, or in another store that can sign URLs, the URL leads there. The client must send its
credentials only to the bridge, follow no redirect from such a URL, keep the URL secret, and check the hash of the
bytes: unlike a channel, a URL returns what is stored, unchecked. A pointer without `url` is fetched by its channel.
"""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import NoReturn

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from ..context import Bridge
from ..errors import Damaged, Unavailable
from ..requests import Reply
from ..store import Shard

__all__ = ["get", "url"]

_RANGE = re.compile(r"bytes=(?:([0-9]{1,18})-([0-9]{0,18})|-([0-9]{1,18}))", re.ASCII | re.IGNORECASE)


def url(base: str, shard: str, token: str) -> str:
    """Return the URL of a shard at a bridge whose address is `base`."""
    return f"{base}/shards/{shard}?token={token}"


async def get(bridge: Bridge, request: Request) -> Response:
    """GET /shards/:hash"""
    name, token = request.path_params["hash"], request.query_params.get("token", "")
    shard = await bridge.in_database(bridge.store.pointers.open_url, token, name, bridge.now())
    asked = request.headers.get("range")
    if request.headers.get("if-range", _tag(shard)) != _tag(shard):
        asked = None
    part = _part(asked, shard.size)
    if part is None:
        headers = {"content-range": f"bytes */{shard.size}"}
        return Reply({"error": "The shard has no such bytes"}, 416, headers)
    pieces = bridge.blobs.read(shard.blob, part.start, part.stop)
    try:
        first = await anext(pieces, b"")
    except Unavailable as error:
        if isinstance(error.__cause__, FileNotFoundError):
            await _doubt(bridge, shard)
        raise
    if not first:
        await _doubt(bridge, shard)
    return _Part(bridge, shard, part, first, pieces)


async def _doubt(bridge: Bridge, shard: Shard) -> NoReturn:
    await bridge.in_database(bridge.store.files.suspect, shard)
    raise Damaged


def _tag(shard: Shard) -> str:
    return f'"{shard.hash}"'


def _part(asked: str | None, size: int) -> range | None:
    """Return the range of bytes that a Range header asks for; `None` if the shard has none of these bytes.

    A header that is not understood, or that asks for several ranges, is ignored (RFC 9110, section 14.2).
    """
    match = _RANGE.fullmatch(asked or "")
    if match is None:
        return range(size)
    first, last, suffix = match.groups()
    if suffix is not None:
        part = range(max(0, size - int(suffix)), size)
    elif last and int(last) < int(first):
        return range(size)  # not understood either
    else:
        part = range(int(first), min(size, int(last) + 1) if last else size)
    return part or None


class _Part(Response):
    """A part of a shard, or all of it, read while it is sent."""

    media_type = "application/octet-stream"

    def __init__(
        self,
        bridge: Bridge,
        shard: Shard,
        part: range,
        first: bytes | bytearray,
        rest: AsyncGenerator[bytes | bytearray, None],
    ) -> None:
        whole = len(part) == shard.size
        headers = {
            "accept-ranges": "bytes",
            "cache-control": "private",
            "content-length": str(len(part)),
            "etag": _tag(shard),
            "x-content-type-options": "nosniff",
        }
        if not whole:
            headers["content-range"] = f"bytes {part.start}-{part.stop - 1}/{shard.size}"
        super().__init__(status_code=200 if whole else 206, headers=headers)
        self._bridge, self._shard = bridge, shard
        self._left = len(part)
        self._first, self._rest = first, rest

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async with aclosing(self._rest) as rest:
            await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
            if scope["method"] != "HEAD":
                await self._send(self._first, send)
                async for piece in rest:
                    await self._send(piece, send)
                if self._left:
                    await _doubt(self._bridge, self._shard)  # too late for an error reply: the connection is closed
            await send({"type": "http.response.body"})

    async def _send(self, piece: bytes | bytearray, send: Send) -> None:
        self._left -= len(piece)
        await send({"type": "http.response.body", "body": piece, "more_body": True})
