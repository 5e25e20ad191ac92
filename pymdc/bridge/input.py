"""Receive the bodies of requests in large pieces: each piece costs a turn of the event loop, however large it is."""

from __future__ import annotations

import asyncio
from typing import Protocol

__all__ = ["Input"]


class _Receiver(Protocol):
    def connection_made(self, transport: asyncio.Transport) -> None: ...
    def connection_lost(self, exc: Exception | None) -> None: ...
    def data_received(self, data: memoryview) -> None: ...
    def eof_received(self) -> None: ...
    def pause_writing(self) -> None: ...
    def resume_writing(self) -> None: ...


class Input(asyncio.BufferedProtocol):
    """Receives bytes into one buffer and passes them to another protocol, which copies what it needs at once.

    So all connections of one event loop may share the buffer. Not on Windows: its event loop begins to receive long
    before anything comes.
    """

    def __init__(self, receiver: _Receiver, buffer: memoryview) -> None:
        self._receiver = receiver
        self._buffer = buffer

    def get_buffer(self, sizehint: int) -> memoryview:
        """Return where to put what comes next."""
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        """Pass on the bytes that have come."""
        self._receiver.data_received(self._buffer[:nbytes])

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Tell the receiver that the connection is open."""
        self._receiver.connection_made(transport)  # type: ignore[arg-type] # it is one that reads and writes

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell the receiver that the connection is closed."""
        self._receiver.connection_lost(exc)

    def eof_received(self) -> None:
        """Tell the receiver that nothing more comes."""
        self._receiver.eof_received()

    def pause_writing(self) -> None:
        """Tell the receiver that the client is behind."""
        self._receiver.pause_writing()

    def resume_writing(self) -> None:
        """Tell the receiver that the client has taken most of what it was sent."""
        self._receiver.resume_writing()
