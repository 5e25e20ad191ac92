"""HTTP and WebSocket on a connection: uvicorn's, with bounds on what a client may cost before the bridge knows it."""

from __future__ import annotations

import asyncio
import json
import select
import socket
import struct
from typing import Any, cast

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.protocols.utils import ClientDisconnected
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from .connections import Connections
from .output import ReplyOutput
from .requests import GONE
from .settings import CHANNEL_BYTES, HEAD_BYTES, HEAD_SECONDS, MESSAGE_BYTES, PIPELINED, READ_BYTES, SEND_SECONDS

__all__ = ["Channel", "Http"]

_PEER_CLOSED: int = getattr(select, "POLLRDHUP", 0)  # Linux alone can tell while there is something to read


class Http(HttpToolsProtocol):
    """uvicorn's HTTP, but a head is bounded in size and time, silence and replies that nobody reads in time.

    Arguments:
        opened: the open connections, which this one is closed among when there are too many.
    """

    def __init__(self, *args: Any, opened: Connections, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._opened = opened
        self._head_bytes = self._pending_bytes = 0
        self._head_timer: asyncio.TimerHandle | None = None
        self._refused = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._address = str(transport.get_extra_info("peername", ("",))[0])
        self._opened.can_close(self._address, self)
        self._reader = _Reader(transport, self.loop)
        self.timeout_keep_alive_task = self.loop.call_later(self.timeout_keep_alive, self.timeout_keep_alive_handler)

    def connection_lost(self, exc: Exception | None) -> None:
        self._disarm()
        self._opened.cannot_close(self._address, self)
        self._reader.is_gone()
        super().connection_lost(exc)
        self.transport.close()  # uvicorn does not after a reset, and Python 3.10 warns of that

    @property
    def idle(self) -> bool:
        """Whether no request is under way."""
        return self.cycle is None or self.cycle.response_complete

    def abort(self) -> None:
        """Close the connection at once."""
        self.transport.abort()

    def handle_websocket_upgrade(self) -> None:
        self._opened.cannot_close(self._address, self)
        super().handle_websocket_upgrade()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._reader.is_slow()

    def resume_writing(self) -> None:
        super().resume_writing()
        self._reader.is_reading()

    def data_received(self, data: bytes) -> None:
        if self._refused or self.transport.is_closing():
            return
        self._pending_bytes += len(data)
        super().data_received(data)
        if self._pending_bytes > HEAD_BYTES:
            self._refuse_head()
        elif self.idle and self._head_timer is None and self in self.connections:  # it is neither closed nor a channel
            self._head_timer = self.loop.call_later(HEAD_SECONDS, self.transport.abort)

    # What the parser tells: whatever makes progress, so that the rest can be counted.

    def on_message_begin(self) -> None:
        self._head_bytes = 0
        super().on_message_begin()
        self.scope["extensions"] = {GONE: cast("Any", self._is_gone)}

    def on_url(self, url: bytes) -> None:
        self._count(len(url))
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        self._count(len(name) + len(value) + len(": \r\n"))
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        self._disarm()
        self._pending_bytes = 0
        if len(self.pipeline) >= PIPELINED:
            self.transport.abort()
            raise ValueError("too many requests at once")  # the parser stops at it
        before = self.cycle
        super().on_headers_complete()
        if self.cycle is not before and self.scope["method"] != "HEAD":
            self.cycle.transport = cast("asyncio.Transport", ReplyOutput(self.transport))

    def on_body(self, body: bytes) -> None:
        self._pending_bytes = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._pending_bytes = 0
        super().on_message_complete()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self.transport.is_closing():
            self._drop_later()

    def timeout_keep_alive_handler(self) -> None:
        super().timeout_keep_alive_handler()
        self._drop_later()

    def send_400_response(self, msg: str) -> None:
        if self._head_bytes > HEAD_BYTES:
            self._refuse_head()
        else:
            super().send_400_response(msg)
            self._drop_later()

    def _is_gone(self) -> bool:
        # A transport that is closing may have no file any more.
        return self.transport.is_closing() or _has_peer_closed(self.transport.get_extra_info("socket"))

    def _count(self, size: int) -> None:
        self._head_bytes += size
        if self._head_bytes > HEAD_BYTES:
            raise ValueError("the head is too large")  # the parser stops at it

    def _refuse_head(self) -> None:
        body = json.dumps({"error": "The head of the request is too large"}).encode()
        lines = ["HTTP/1.1 431 Request Header Fields Too Large", "content-type: application/json; charset=utf-8"]
        head = "\r\n".join([*lines, f"content-length: {len(body)}", "connection: close", "", ""])
        if self.pipeline:  # pragma: no cover - whether earlier ones still wait then is a matter of microseconds
            _reset(self.transport)  # replies to earlier requests would follow this one
            return
        self.transport.write(head.encode() + body)
        if self.transport.can_write_eof():
            self.transport.write_eof()
        if not self.idle:
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        # The rest is thrown away: closing a connection on unread data would take the reply with it.
        self._refused = True
        self._drop_later()

    def _disarm(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _drop_later(self) -> None:
        # A connection that is being closed waits for its reader: not for ever.
        self._reader.has_the_last()


class Channel(WebSocketsSansIOProtocol):
    """uvicorn's WebSocket, but a peer that does not read cannot keep the connection, and what waits in it, for ever.

    While the peer does not take what was sent, nothing more is read from it: a ping asks for an answer. A binary
    message of any length is sent as messages of up to `MESSAGE_BYTES`. Who sends more than `CHANNEL_BYTES` in all is
    dropped: a flood of small frames would take everybody's time.
    """

    _left = CHANNEL_BYTES
    _stalled: asyncio.TimerHandle | None = None
    _dropping: asyncio.TimerHandle | None = None

    def data_received(self, data: bytes) -> None:
        if not self.handshake_initiated:  # the head of the request, which was bounded before
            super().data_received(data)
            return
        allowed, self._left = data[: self._left], self._left - len(data)
        super().data_received(allowed)
        if self._left < 0 and not self.close_sent:
            _reset(self.transport)

    def pause_writing(self) -> None:
        super().pause_writing()
        self.transport.pause_reading()
        self._stalled = self.loop.call_later(SEND_SECONDS, self._drop)

    def resume_writing(self) -> None:
        super().resume_writing()
        self._forget_stall()
        if not self.read_paused:  # pragma: no branch - else a message waits to be taken, which takes two at once
            self.transport.resume_reading()

    def connection_lost(self, exc: Exception | None) -> None:
        self._forget_stall()
        if self._dropping is not None:  # else the timer would keep what is gone in memory
            self._dropping.cancel()
        super().connection_lost(exc)

    async def send(self, message: Any) -> None:
        data = message.get("bytes") or b""
        if len(data) <= MESSAGE_BYTES:
            await super().send(message)
            return
        await self.writable.wait()
        if self.disconnected or self.close_sent:  # pragma: no cover - it ended just while this waited
            raise ClientDisconnected
        view = memoryview(data)
        parts: list[bytes | memoryview] = []
        for start in range(0, len(view), MESSAGE_BYTES):
            part = view[start : start + MESSAGE_BYTES]
            parts += [_frame_head(len(part)), part]
        self.transport.write(b"".join(parts))

    async def run_asgi(self) -> None:
        await super().run_asgi()
        if not self.disconnected:
            self._dropping = self.loop.call_later(SEND_SECONDS, self._drop)

    def _forget_stall(self) -> None:
        if self._stalled is not None:
            self._stalled.cancel()
            self._stalled = None

    def _drop(self) -> None:
        _reset(self.transport)


def _frame_head(size: int) -> bytes:
    """Return what comes before a whole binary message (RFC 6455, section 5.2); a server's are not masked."""
    if size < 126:
        return struct.pack("!BB", 0x82, size)
    return struct.pack("!BBH", 0x82, 126, size) if size < 65536 else struct.pack("!BBQ", 0x82, 127, size)


class _Reader:
    """Watches whether a client takes what was sent to it, and drops a connection on which it does not.

    Within each `SEND_SECONDS` of waiting, `READ_BYTES` must go out, or all that waits.
    """

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport = transport
        self._loop = loop
        self._timer: asyncio.TimerHandle | None = None
        self._waiting = 0
        self._last = False

    def is_slow(self) -> None:
        """More waits for the client than the transport wants to hold."""
        self._waiting = self._transport.get_write_buffer_size()
        self._timer = self._loop.call_later(SEND_SECONDS, self._look)

    def is_reading(self) -> None:
        """The client has taken most of it."""
        if not self._last:
            self.is_gone()

    def has_the_last(self) -> None:
        """Nothing more will be sent: the client has to take the rest and to go."""
        if not self._last:
            self._last = True
            self.is_gone()
            self.is_slow()

    def is_gone(self) -> None:
        """The connection is closed."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _look(self) -> None:
        if self._waiting - self._transport.get_write_buffer_size() < READ_BYTES:
            _reset(self._transport)
        else:
            self.is_slow()


def _has_peer_closed(connection: socket.socket) -> bool:
    # Asked of the system: while a connection is not read from, asyncio does not notice its end.
    poll = select.poll()
    poll.register(connection, _PEER_CLOSED)
    return bool(poll.poll(0))


def _reset(transport: asyncio.Transport) -> None:
    # Else the kernel would go on offering what was sent already.
    connection = transport.get_extra_info("socket")
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()
