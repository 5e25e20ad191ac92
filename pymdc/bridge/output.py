"""Send the head of a reply together with the beginning of its body, so that a small reply is one system call."""

from __future__ import annotations

import asyncio

__all__ = ["ReplyOutput"]

_SMALL_BYTES = 64 * 1024  # copying more than that costs more than another call
_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


class ReplyOutput(asyncio.WriteTransport):
    """A transport for one reply that has a body. It holds the head back until the body begins.

    ASGI allows that: https://asgi.readthedocs.io/en/latest/specs/www.html#response-start-send-event. `100 Continue`,
    which may come before the head, is written at once.
    """

    def __init__(self, transport: asyncio.WriteTransport) -> None:
        super().__init__()
        self._transport = transport
        self._head = b""
        self._begun = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Write a piece. If it is the head, hold it back."""
        if self._begun:
            head, self._head = self._head, b""
            if head and len(data) > _SMALL_BYTES:
                self._transport.write(head)
                head = b""
            self._transport.write(head + data if head else data)
        elif data == _CONTINUE:
            self._transport.write(data)
        else:
            self._head, self._begun = bytes(data), True

    def close(self) -> None:
        """Write the head if it was held back, and close the transport."""
        head, self._head = self._head, b""
        self._transport.write(head)
        self._transport.close()

    def is_closing(self) -> bool:
        """Tell whether the transport is closing."""
        return self._transport.is_closing()
