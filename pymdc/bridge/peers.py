"""Watch the client of a connection: whether it reads, and whether it is still connected."""

from __future__ import annotations

import asyncio
import select
import socket
import struct
import sys

from .settings import READ_BYTES, SEND_SECONDS

__all__ = ["Reader", "has_closed", "reset"]

_TCP_INFO_BYTES, _ACKNOWLEDGED = 128, 120  # `tcpi_bytes_acked` in Linux's `struct tcp_info`, since 4.1: 64 bits
_PEER_CLOSED: int = getattr(select, "POLLRDHUP", 0)  # only Linux tells this while there are unread bytes


class Reader:
    """Watches whether a client reads what was sent to it, and resets the connection if it does not.

    Within each `SEND_SECONDS`, the client must take at least `READ_BYTES`, or everything that waits.

    Linux tells how many bytes the client's system has received. Buffers do not tell that: the system has one of
    megabytes, and TLS moves up to a megabyte at once from one buffer of asyncio to another. Elsewhere only asyncio's
    buffer is looked at, so there a client that uses TLS must read about 12 kB/s.
    """

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport = transport
        self._socket: socket.socket = transport.get_extra_info("socket")
        self._loop = loop
        self._timer: asyncio.TimerHandle | None = None
        self._before = 0
        self._last = False

    def is_slow(self) -> None:
        """Note that the client is behind: the transport's buffer is full."""
        self.is_gone()
        self._before = self._taken()
        self._timer = self._loop.call_later(SEND_SECONDS, self._look)

    def is_reading(self) -> None:
        """Note that the client has taken most of the buffer."""
        if not self._last:
            self.is_gone()

    def has_the_last(self) -> None:
        """Note that nothing more will be sent: the client must now take the rest."""
        if not self._last:
            self._last = True
            self.is_slow()

    def is_gone(self) -> None:
        """Note that the connection is closed."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _look(self) -> None:
        if self._taken() - self._before < READ_BYTES:
            reset(self._transport)
        else:
            self.is_slow()

    def _taken(self) -> int:
        """Return a number that grows by one with each byte that the client takes."""
        if sys.platform != "linux":
            return -self._transport.get_write_buffer_size()
        if self._socket.fileno() < 0:  # with TLS, `connection_lost` is called a moment after the socket was closed
            return 0
        told = self._socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _TCP_INFO_BYTES)
        return int(struct.unpack_from("=Q", told, _ACKNOWLEDGED)[0])


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
