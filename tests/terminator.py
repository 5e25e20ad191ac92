"""A TLS terminator, as it stands in front of bridges and farmers: TLS to the client, plain TCP to the server behind it.

One thread reads and writes each session. The threading server of websockets has two threads for that, which a session
of TLS 1.3 does not survive: it is written to also when something is read, for example after a change of keys.
"""

from __future__ import annotations

import _ssl
import ctypes
import select
import socket
import ssl
from collections.abc import Callable
from contextlib import suppress

import pytest

from .hostile import HOST, Connection, Script

__all__ = ["terminating"]

_PIECE_BYTES = 16 * 1024  # one record of TLS holds as many
_UPDATE_REQUESTED = 1  # SSL_KEY_UPDATE_REQUESTED: the client must change its own keys as well


def terminating(port: int, context: ssl.SSLContext, *, restless: bool = False) -> Script:
    """Return a script for a `Server` that passes everything on to this port.

    Arguments:
        restless: after each piece, send a new session ticket, change the keys, and ask the client to change its own.
    """

    def script(connection: Connection) -> None:
        with socket.create_connection((HOST, port)) as behind:
            connection.server.adopt(behind)
            session = _Session(connection.sock, context)
            session.shake_hands()
            session.pass_on(behind, _renewal(session.tls) if restless else lambda: None)

    return script


class _Session:
    """The client's session."""

    def __init__(self, sock: socket.socket, context: ssl.SSLContext) -> None:
        self._sock = sock
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = context.wrap_bio(self._incoming, self._outgoing, server_side=True)

    def shake_hands(self) -> None:
        while True:
            with suppress(ssl.SSLWantReadError):
                self.tls.do_handshake()
                return self._flush()
            self._flush()
            self._take()

    def pass_on(self, behind: socket.socket, renew: Callable[[], None]) -> None:
        """Pass on what comes either way, until either side closes."""
        while True:
            behind.sendall(self._arrived())  # some of it may have come with the end of the handshake
            readable, _, _ = select.select([self._sock, behind], [], [])
            if self._sock in readable:
                self._take()
            if behind in readable:
                data = behind.recv(_PIECE_BYTES)
                if not data:
                    break
                self.tls.write(data)
            renew()
            self._flush()
        self._end()

    def _arrived(self) -> bytes:
        data = b""
        with suppress(ssl.SSLWantReadError):
            while piece := self.tls.read(_PIECE_BYTES):
                data += piece
        return data

    def _take(self) -> None:
        data = self._sock.recv(_PIECE_BYTES)
        if not data:
            raise ConnectionError("the client has closed")
        self._incoming.write(data)

    def _flush(self) -> None:
        self._sock.sendall(self._outgoing.read())

    def _end(self) -> None:
        """Close as a good server does: tell it, and wait until the client has read everything and closes."""
        with suppress(ssl.SSLWantReadError):
            self.tls.unwrap()
        self._flush()
        self._sock.shutdown(socket.SHUT_WR)
        while self._sock.recv(_PIECE_BYTES):
            pass


def _renewal(tls: ssl.SSLObject) -> Callable[[], None]:
    """Return what renews a session. Python has no function for it, so this calls those of OpenSSL."""
    try:
        openssl = ctypes.CDLL(_ssl.__file__)
        functions = openssl.SSL_new_session_ticket, openssl.SSL_key_update, openssl.SSL_do_handshake
    except AttributeError:
        pytest.skip("this Python does not show the functions of its OpenSSL")
    new_ticket, update_keys, send = functions
    # The object of Python begins with its head and its socket; then comes the pointer to the session.
    place = id(tls._sslobj) + object.__basicsize__ + ctypes.sizeof(ctypes.c_void_p)  # type: ignore[attr-defined]
    session = ctypes.c_void_p.from_address(place)

    def renew() -> None:
        assert new_ticket(session) == send(session) == 1
        assert update_keys(session, _UPDATE_REQUESTED) == send(session) == 1

    return renew
