"""HTTP and WebSocket on one connection: uvicorn's protocols, with limits on how much one client may cost.

uvicorn itself has no limits on the time that the head of a request takes, on what a WebSocket's client may send in all,
or on how long a client may leave a reply unread. Such a client would hold a connection, and memory, for ever.
"""

from __future__ import annotations

import asyncio
import json
import math
import struct
from typing import Any, cast

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.protocols.utils import ClientDisconnected
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from .connections import Connections
from .output import ReplyOutput
from .peers import Reader, has_closed, reset
from .requests import GONE
from .settings import CHANNEL_BYTES, HEAD_BYTES, HEAD_SECONDS, MESSAGE_BYTES, PIPELINED

__all__ = ["Channel", "Http"]

_TOO_BIG = 1009  # the code of a close after a message that is too large: RFC 6455, section 7.4.1
_TOO_LARGE = b'{"code":413,"message":"The request is too large"}'
_MALFORMED = b'{"code":400,"message":"This is no message of a WebSocket"}'


class Http(HttpToolsProtocol):
    """uvicorn's HTTP, with limits: on the size of a request's head, on the time for it, and on unread replies.

    Arguments:
        opened: the open connections. This one is added to them, and may be closed when there are too many.
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
        self._reader = Reader(transport, self.loop)
        self.timeout_keep_alive_task = self.loop.call_later(self.timeout_keep_alive, self.timeout_keep_alive_handler)

    def connection_lost(self, exc: Exception | None) -> None:
        self._disarm()
        self._opened.cannot_close(self._address, self)
        self._reader.is_gone()
        super().connection_lost(exc)
        self._unset_keepalive_if_required()  # uvicorn does not cancel it after a reset
        self.transport.close()  # uvicorn does not close it, and Python 3.10 warns

    @property
    def idle(self) -> bool:
        """Whether no request is running."""
        return self.cycle is None or self.cycle.response_complete

    def abort(self) -> None:
        """Close the connection at once."""
        self.transport.abort()

    def shutdown(self) -> None:
        # If it is closed twice, a transport of asyncio with TLS loses its connection, and can never be reset.
        if not self.transport.is_closing():
            super().shutdown()

    def handle_websocket_upgrade(self) -> None:
        self._opened.cannot_close(self._address, self)
        super().handle_websocket_upgrade()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._reader.is_slow()

    def resume_writing(self) -> None:
        super().resume_writing()
        self._reader.is_reading()

    def data_received(self, data: bytes | memoryview) -> None:
        if self._refused or self.transport.is_closing():
            return
        self._pending_bytes += len(data)
        super().data_received(data)  # type: ignore[arg-type] # the parser takes any buffer
        if self._pending_bytes > HEAD_BYTES:
            self._refuse_head()
        elif self.idle and self._head_timer is None and self in self.connections:  # not closed, and no data channel
            self._head_timer = self.loop.call_later(HEAD_SECONDS, self.transport.abort)

    # The parser calls these. Each call means progress, so it resets the count of bytes without progress.

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
            raise ValueError("too many requests at once")  # this stops the parser
        before = self.cycle
        super().on_headers_complete()
        if self.cycle is not before and self.scope["method"] != "HEAD":
            self.cycle.transport = cast("asyncio.Transport", ReplyOutput(self.transport))

    def on_body(self, body: bytes) -> None:
        # uvicorn adds each piece to a bytearray, and copies that for the application. The first piece is handed on as
        # it came; further pieces are many and small.
        self._pending_bytes = 0
        cycle = cast("Any", self.cycle)
        if not cycle.body and not cycle.response_complete:
            cycle.body, body = body, b""
        elif isinstance(cycle.body, bytes):
            cycle.body = bytearray(cycle.body)
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
        return self.transport.is_closing() or has_closed(self.transport.get_extra_info("socket"))

    def _count(self, size: int) -> None:
        self._head_bytes += size
        if self._head_bytes > HEAD_BYTES:
            raise ValueError("the head is too large")  # this stops the parser

    def _refuse_head(self) -> None:
        body = json.dumps({"error": "The head of the request is too large"}).encode()
        lines = ["HTTP/1.1 431 Request Header Fields Too Large", "content-type: application/json; charset=utf-8"]
        head = "\r\n".join([*lines, f"content-length: {len(body)}", "connection: close", "", ""])
        if self.pipeline:  # pragma: no cover - whether earlier requests still wait depends on microseconds
            reset(self.transport)  # replies to earlier requests would follow this one
            return
        self.transport.write(head.encode() + body)
        if self.transport.can_write_eof():
            self.transport.write_eof()
        if not self.idle:
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        # The rest is read and thrown away: closing the connection with unread data would destroy the reply.
        self._refused = True
        self._drop_later()

    def _disarm(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _drop_later(self) -> None:
        # A connection that is being closed waits until its client has read the reply, but not for ever.
        self._reader.has_the_last()


class Channel(WebSocketsSansIOProtocol):
    """uvicorn's WebSocket, with limits. `Reader` disconnects a client that does not read.

    While the client does not read, nothing is read from it either: a ping would add a reply to those that wait. A long
    binary message is sent as messages of up to `MESSAGE_BYTES`. A client that sends more than `CHANNEL_BYTES` in all is
    disconnected: many small frames would slow down everybody.
    """

    _left = CHANNEL_BYTES

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._reader = Reader(cast("asyncio.Transport", transport), self.loop)
        self.close_timeout = math.inf  # a slow client replies to the close when it has read all that comes before

    def data_received(self, data: bytes) -> None:
        if not self.handshake_initiated:  # the head of the request, which `Http` has limited
            super().data_received(data)
            return
        allowed, self._left = data[: self._left], self._left - len(data)
        super().data_received(allowed)
        if self._left < 0 and not self.close_sent:
            reset(self.transport)

    def pause_writing(self) -> None:
        super().pause_writing()
        self.transport.pause_reading()
        self._reader.is_slow()

    def resume_writing(self) -> None:
        super().resume_writing()
        self._reader.is_reading()
        if not self.read_paused:  # pragma: no branch - uvicorn pauses reading only when two messages arrive at once
            self.transport.resume_reading()

    def connection_lost(self, exc: Exception | None) -> None:
        self._reader.is_gone()  # the timer would hold the closed connection in memory
        super().connection_lost(exc)
        if exc is not None:  # uvicorn does not close it then, and Python 3.10 warns
            self.transport.close()

    async def send(self, message: Any) -> None:
        data = message.get("bytes") or b""
        if len(data) <= MESSAGE_BYTES:
            await super().send(message)
            return
        await self.writable.wait()
        # On a transport that is closing, `writelines` of Python 3.12 and early 3.13 leaves the socket's number in the
        # event loop, which then never reads the next connection of this number (CPython's issue 136234).
        if self.disconnected or self.close_sent or self.transport.is_closing():
            raise ClientDisconnected
        view = memoryview(data)
        parts: list[bytes | memoryview] = []
        for start in range(0, len(view), MESSAGE_BYTES):
            part = view[start : start + MESSAGE_BYTES]
            parts += [_frame_head(len(part)), part]
        self.transport.writelines(parts[:-1])
        # Only `write` notices a slow client in Python 3.12.0 to 3.12.8, 3.13.0 and 3.13.1 (CVE-2024-12254).
        self.transport.write(parts[-1])

    async def run_asgi(self) -> None:
        await super().run_asgi()
        if not self.disconnected:
            self._reader.has_the_last()

    def handle_parser_exception(self) -> None:
        # Send an error message for a bad or too large message, then close.
        close = self.conn.close_sent
        if self.handshake_complete and close is not None and not self.close_sent:  # nothing may follow a close
            told = _TOO_LARGE if close.code == _TOO_BIG else _MALFORMED
            self.transport.write(bytes([0x81, len(told)]) + told)  # a frame with one text
        super().handle_parser_exception()


def _frame_head(size: int) -> bytes:
    """Return the head of the frame of a binary message (RFC 6455, section 5.2). A server's frames are not masked."""
    if size < 126:
        return struct.pack("!BB", 0x82, size)
    return struct.pack("!BBH", 0x82, 126, size) if size < 65536 else struct.pack("!BBQ", 0x82, 127, size)
