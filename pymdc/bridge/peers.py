"""Watch the client of a connection: whether it reads, and whether it is still connected."""

from __future__ import annotations

import asyncio
import select
import socket
import struct

from .settings import READ_BYTES, SEND_SECONDS

__all__ = ["Reader", "has_closed", "reset"]

_PEER_CLOSED: int = getattr(select, "POLLRDHUP", 0)  # only Linux tells this while there are unread bytes


class Reader:
    """Watches whether a client reads what was sent to it, and resets the connection if it does not.

    Within each `SEND_SECONDS`, the client must take at least `READ_BYTES`, or everything that waits.
    """

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport = transport
        self._loop = loop
        self._timer: asyncio.TimerHandle | None = None
        self._waiting = 0
        self._last = False

    def is_slow(self) -> None:
        """Note that the client is behind: the transport's buffer is full."""
        self._waiting = self._transport.get_write_buffer_size()
        self._timer = self._loop.call_later(SEND_SECONDS, self._look)

    def is_reading(self) -> None:
        """Note that the client has taken most of the buffer."""
        if not self._last:
            self.is_gone()

    def has_the_last(self) -> None:
        """Note that nothing more will be sent: the client must now take the rest."""
        if not self._last:
            self._last = True
            self.is_gone()
            self.is_slow()

    def is_gone(self) -> None:
        """Note that the connection is closed."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _look(self) -> None:
        if self._waiting - self._transport.get_write_buffer_size() < READ_BYTES:
            reset(self._transport)
        else:
            self.is_slow()


def has_closed(connection: socket.socket) -> bool:
    """Tell whether the client has closed its side of the connection."""
    # The system is asked: while a connection is not read, asyncio does not notice that it was closed.
    if not hasattr(select, "poll"):  # Windows
        return _is_at_its_end(connection)
    poll = select.poll()
    poll.register(connection, _PEER_CLOSED)
    return bool(poll.poll(0))


def _is_at_its_end(connection: socket.socket) -> bool:
    # asyncio's own object for a socket cannot receive. While there are unread bytes, this does not notice the end.
    with socket.fromfd(connection.fileno(), connection.family, connection.type) as same:
        same.setblocking(False)
        try:
            return not same.recv(1, socket.MSG_PEEK)
        except BlockingIOError:  # nothing has come
            return False
        except OSError:  # it was reset
            return True


def reset(transport: asyncio.Transport) -> None:
    """Close a connection at once, and throw away what its client has not read."""
    # With this option the kernel forgets what it has not sent yet. Else it would go on trying.
    connection = transport.get_extra_info("socket")
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()
