"""The data channel: one WebSocket, one shard.

The client sends one message, `{"token", "hash", "operation": "PULL"}`, as text or binary. The shard follows in binary
messages, then close 1000. Every error is a text `{"code", "message"}`, then another close code. Time limits end the
wait for the request, and the wait for a client that does not read.
"""

from __future__ import annotations

import json
import logging
from contextlib import aclosing
from typing import Any

import anyio
from starlette.websockets import WebSocket, WebSocketDisconnect

from ..context import Bridge
from ..errors import Damaged, Refused
from ..fields import decode_object
from ..settings import CHANNEL_REQUEST_SECONDS
from ..store import Shard

__all__ = ["serve"]

_log = logging.getLogger("pymdc.bridge")
_DONE, _CLIENT_ERROR, _SERVER_ERROR = 1000, 1008, 1011  # RFC 6455, section 7.4.1


async def serve(bridge: Bridge, socket: WebSocket) -> None:
    """Serve one channel, and close it."""
    await socket.accept()
    try:
        shard = await _open(bridge, socket)
        try:
            await _send(bridge, socket, shard)
        except Damaged:
            await bridge.in_database(bridge.store.files.suspect, shard)
            raise
    except Refused as refused:
        await _fail(socket, refused.status, refused.message)
    except WebSocketDisconnect as error:
        _log.debug("a channel's client is gone: %r", error)
    except Exception:  # noqa: BLE001 -- a defect must not leave the channel open
        _log.exception("a channel failed")
        await _fail(socket, 500, "Internal error")


async def _open(bridge: Bridge, socket: WebSocket) -> Shard:
    sent = decode_object(await _receive(socket))
    if not sent:
        raise Refused(400, "Failed to parse message")
    token, shard = _text(sent, "token", "a token"), _text(sent, "hash", "the data hash")
    if sent.get("operation") != "PULL":
        raise Refused(400, "The operation is not supported")
    return await bridge.in_database(bridge.store.pointers.open_channel, token, shard, bridge.now())


async def _receive(socket: WebSocket) -> bytes:
    with anyio.move_on_after(CHANNEL_REQUEST_SECONDS):
        message = await socket.receive()
        if message["type"] == "websocket.disconnect":
            raise WebSocketDisconnect(message["code"])
        text = message.get("text")
        return bytes(message["bytes"]) if text is None else str(text).encode("utf-8", "replace")
    raise Refused(408, "No message came in time")


def _text(sent: dict[str, Any], name: str, what: str) -> str:
    value = sent.get(name)
    if not isinstance(value, str) or not value:
        raise Refused(400, f"You did not supply {what}")
    return value


async def _send(bridge: Bridge, socket: WebSocket, shard: Shard) -> None:
    # `protocols.Channel` drops a client that does not read, so no limit is set here, which would cost much.
    async with aclosing(bridge.blobs.read_checked(shard.blob, shard.size, shard.hash)) as pieces:
        async for piece in pieces:
            await socket.send({"type": "websocket.send", "bytes": piece})
    await socket.close(_DONE)


async def _fail(socket: WebSocket, code: int, message: str) -> None:
    text = json.dumps({"code": code, "message": message}, separators=(",", ":"))
    try:
        await socket.send_text(text)
        await socket.close(_CLIENT_ERROR if code < 500 else _SERVER_ERROR)
    except WebSocketDisconnect as error:
        _log.debug("a channel's client is gone: %r", error)
