"""Storing, listing and removing files, and pointing to their shards."""

from __future__ import annotations

import logging
import time
from functools import partial
from typing import Any

import anyio
from starlette.requests import Request
from starlette.responses import Response

from .. import auth, fields
from ..context import Bridge
from ..errors import Full, Refused, Unavailable
from ..listing import listing
from ..requests import Reply, client, is_gone, read_body
from ..room import check_room
from ..settings import CHANNEL_TOKEN_SECONDS, GIGABYTE, MULTIPART_BYTES, UPLOAD_TOUCH_SECONDS
from ..store import Entry
from ..upload import FilePart, ShardWriter, boundary
from . import shards

__all__ = ["delete", "index", "pointers", "upload"]

_log = logging.getLogger("pymdc.bridge")


async def index(bridge: Bridge, request: Request) -> Response:
    """GET /buckets/:id/files"""
    user = await auth.user(bridge, request)
    bucket = await bridge.in_database(bridge.store.buckets.get, request.path_params["id"], user.email)
    return await listing(bridge, partial(bridge.store.files.page, bucket.id), _shown)


async def delete(bridge: Bridge, request: Request) -> Response:
    """DELETE /buckets/:id/files/:hash"""
    user = await auth.user(bridge, request, await read_body(request))
    bucket = await bridge.in_database(bridge.store.buckets.get, request.path_params["id"], user.email)
    await bridge.in_database(bridge.store.files.delete, bucket.id, request.path_params["hash"])
    return Response(status_code=204)


async def pointers(bridge: Bridge, request: Request) -> Response:
    """GET /buckets/:id/files/:hash"""
    token, bucket = request.headers.get("x-token", ""), request.path_params["id"]
    found = await bridge.in_database(bridge.store.tokens.check, token, bucket, "PULL", bridge.now())
    content = request.path_params["hash"]
    direct = request.headers.get("x-direct") == "1"
    given = await bridge.in_database(bridge.store.pointers.create, token, found.id, content, bridge.now(), direct)
    base = _base(bridge, request)
    of_all = {"operation": "PULL", "channel": "ws" + base.removeprefix("http")}
    pointers = [{"hash": shard.hash, "token": token, **of_all} for shard, token in given]
    if direct:
        ours = [shards.url(base, shard.hash, token) for shard, token in given]
        urls = await bridge.in_store(bridge.blobs.urls, [shard.blob for shard, _ in given], CHANNEL_TOKEN_SECONDS)
        pointers = [{**pointer, "url": url} for pointer, url in zip(pointers, urls or ours, strict=True)]
    return Reply(pointers)


async def upload(bridge: Bridge, request: Request) -> Response:
    """PUT /buckets/:id/files"""
    async with bridge.limits.upload(client(request), partial(is_gone, request)):
        return await _upload(bridge, request)


async def _upload(bridge: Bridge, request: Request) -> Response:
    token, bucket = request.headers.get("x-token", ""), request.path_params["id"]
    found = await bridge.in_database(bridge.store.tokens.check, token, bucket, "PUSH", bridge.now())
    size = fields.file_size(request.headers.get("x-filesize"))
    await bridge.in_store(check_room, bridge.settings, size if size <= found.storage * GIGABYTE else 0)
    part = FilePart(boundary(request.headers.get("content-type")))
    started = await bridge.in_database(bridge.store.files.begin, token, found.id, size, bridge.now(), bridge.allowance)
    writer = ShardWriter(bridge, started)
    try:
        await _receive(bridge, request, started, part, writer, size)
        stored, broken = await writer.finish()
        entry = Entry(found.id, part.mimetype, part.name or stored.hash, stored.size, stored.hash)
        await bridge.in_database(bridge.store.files.commit, started, entry, stored, broken, bridge.allowance)
    except BaseException as error:
        with anyio.CancelScope(shield=True):
            results = await writer.settle()
            await _give_up(bridge, started, settled=not any(map(_is_doubtful, (error, *results))))
        raise
    return Reply(_shown(entry))


async def _receive(
    bridge: Bridge, request: Request, upload: str, part: FilePart, writer: ShardWriter, size: float
) -> None:
    received, touched = 0, time.monotonic()
    async for chunk in request.stream():
        received += len(chunk)
        for piece in part.feed(chunk):
            await writer.add(piece)
        if writer.size > size:
            raise Refused(400, "File size exceeds declared size")
        if received > size + MULTIPART_BYTES:
            raise Refused(413, "The multipart data around the file is too large")
        if time.monotonic() - touched > UPLOAD_TOUCH_SECONDS:
            await _touch(bridge, upload)
            touched = time.monotonic()
    part.finish()
    if writer.size < size:
        raise Refused(400, "File does not match the declared size")


async def _touch(bridge: Bridge, upload: str) -> None:
    try:
        await bridge.in_database(bridge.store.files.touch, upload, bridge.now())
    except Unavailable as error:  # the next attempt comes before the lease ends
        _log.warning("upload %s could not be marked as alive: %s", upload, error)


def _is_doubtful(result: object) -> bool:
    return isinstance(result, Unavailable) and not isinstance(result, Full)


async def _give_up(bridge: Bridge, upload: str, *, settled: bool) -> None:
    """Remove what an upload has stored.

    Arguments:
        settled: whether the store has answered for every blob. If not, a blob may still appear, so the upload stays in
            the database, and a later clean-up removes its blobs again.
    """
    try:
        if await bridge.in_database(bridge.store.files.abandon, upload):
            await bridge.in_store(bridge.blobs.delete_upload, upload)
            if settled:
                await bridge.in_database(bridge.store.leftovers.removed_uploads, [upload])
    except Refused as error:
        _log.warning("upload %s is left to the next clean-up: %s", upload, error)


def _base(bridge: Bridge, request: Request) -> str:
    base = bridge.settings.public_url
    if base is None:
        # The client can use the address of this request also for the data channel and the URLs of shards.
        base = f"{request.url.scheme}://{request.url.netloc}"
    return base.rstrip("/")


def _shown(entry: Entry) -> dict[str, Any]:
    return {
        "bucket": entry.bucket,
        "mimetype": entry.mimetype,
        "filename": entry.filename,
        "size": entry.size,
        "hash": entry.hash,
    }
