"""A hostile HTTP server: a script says what it does with a connection. Real sockets, threads, no HTTP library.

It follows no recording: whatever a script says is what it does.
"""

from __future__ import annotations

import functools
import json
import select
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any
from urllib.parse import urlsplit

import trustme

__all__ = [
    "Connection",
    "Received",
    "Script",
    "Server",
    "answering",
    "client_context",
    "full_backlog",
    "refusing_port",
    "relay",
    "reply_bytes",
    "server_context",
    "socks_relay",
]

HOST = "127.0.0.1"


@dataclass(frozen=True)
class Received:
    """A request as it came: names of headers in lower case, everything else as it was sent."""

    method: str
    target: str
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""

    @property
    def path(self) -> str:
        return self.target.partition("?")[0]

    @property
    def query(self) -> str:
        return self.target.partition("?")[2]

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def nonce(self) -> int:
        if self.body:
            return int(self.json["__nonce"])
        pairs = dict(pair.split("=", 1) for pair in self.query.split("&"))
        return int(pairs["__nonce"])


class Connection:
    """One accepted connection."""

    def __init__(self, sock: socket.socket, server: Server) -> None:
        self.sock = sock
        self.server = server
        self.buffer = b""

    def read_head(self) -> Received | None:
        """Read a request up to its body, or `None` where the client has closed; it is then in `server.requests`."""
        request = self._read_head()
        if request is not None:
            self.server.requests.append(request)
        return request

    def read_request(self) -> Received | None:
        """Read a whole request, or `None` where the client has closed; it is then in `server.requests`."""
        head = self._read_head()
        if head is None:
            return None
        length = int(head.headers.get("content-length", "0"))
        body = bytearray(self.buffer)
        while len(body) < length:
            data = self.sock.recv(1 << 18)
            if not data:
                return None
            body += data
        self.buffer = bytes(body[length:])
        request = Received(head.method, head.target, head.headers, bytes(body[:length]))
        self.server.requests.append(request)
        return request

    def send(self, data: bytes) -> None:
        self.sock.sendall(data)

    def reply(self, status: int, body: bytes | str = b"", **headers: str) -> None:
        self.send(reply_bytes(status, body, **headers))

    def reset(self) -> None:
        """Close with RST in place of FIN."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()

    def wait(self) -> None:
        """Do nothing, with the connection open, until the server is closed."""
        self.server.closing.wait()

    def _read_head(self) -> Received | None:
        while b"\r\n\r\n" not in self.buffer:
            data = self.sock.recv(1 << 16)
            if not data:
                return None
            self.buffer += data
        head, _, self.buffer = self.buffer.partition(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")
        method, target, _ = first.split(" ")
        pairs = (line.split(":", 1) for line in lines)
        return Received(method, target, {name.lower(): value.strip() for name, value in pairs})


Script = Callable[[Connection], None]


class Server:
    """Listens on this machine while its context is open. Each connection has a thread.

    Arguments:
        scripts: what is done with the first connection, the second, ...; the last one serves all that follow.
        context: for TLS.

    Attributes:
        requests: as they came, of all connections.
        connections: how many were accepted.
    """

    def __init__(self, *scripts: Script, context: ssl.SSLContext | None = None) -> None:
        self.requests: list[Received] = []
        self.connections = 0
        self.closing = threading.Event()
        self._scripts = list(scripts)
        self._context = context
        self._sockets: list[socket.socket] = []
        self._threads: list[threading.Thread] = []

    @property
    def port(self) -> int:
        return int(self._listener.getsockname()[1])

    @property
    def url(self) -> str:
        return f"{'http' if self._context is None else 'https'}://{HOST}:{self.port}"

    def __enter__(self) -> Server:
        self._listener = socket.create_server((HOST, 0), backlog=256)
        self.start(self._accept)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.closing.set()
        with suppress(OSError):
            socket.create_connection((HOST, self.port)).close()  # wakes accept()
        self._threads[0].join()  # from here on nothing is accepted
        for sock in self._sockets:
            with suppress(OSError):
                socket.socket.shutdown(sock, socket.SHUT_RDWR)  # TLS's own would take from a thread what it sends with
        for thread in self._threads:
            thread.join()
        self._listener.close()

    def start(self, target: Callable[..., None], *args: object) -> threading.Thread:
        thread = threading.Thread(target=target, args=args)
        self._threads.append(thread)
        thread.start()
        return thread

    def adopt(self, sock: socket.socket) -> None:
        """Shut this socket down as well when the server closes."""
        self._sockets.append(sock)

    def _accept(self) -> None:
        while True:
            sock, _ = self._listener.accept()
            if self.closing.is_set():
                sock.close()
                return
            script = self._scripts[min(self.connections, len(self._scripts) - 1)]
            self.connections += 1
            self.adopt(sock)
            self.start(self._serve, sock, script)

    def _serve(self, sock: socket.socket, script: Script) -> None:
        with suppress(OSError), sock:  # an OSError: the client has gone
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # what was sent is sent, even before a reset
            if self._context is None:
                script(Connection(sock, self))
                return
            with self._context.wrap_socket(sock, server_side=True) as secure:
                self.adopt(secure)
                script(Connection(secure, self))


def reply_bytes(status: int, body: bytes | str = b"", **headers: str) -> bytes:
    """Return a reply; a header's name is written with `_` for `-`. `Content-Length` is added unless it is given."""
    content = body.encode() if isinstance(body, str) else body
    names = {name.replace("_", "-").lower(): value for name, value in headers.items()}
    if "transfer-encoding" not in names:
        names.setdefault("content-length", str(len(content)))
    head = "".join(f"{name}: {value}\r\n" for name, value in names.items())
    return f"HTTP/1.1 {status} Words\r\n{head}\r\n".encode() + content


def answering(answer: Callable[[Received], bytes]) -> Script:
    """Answer every request of the connection: what a well-behaved server does."""

    def script(connection: Connection) -> None:
        while (request := connection.read_request()) is not None:
            connection.send(answer(request))

    return script


def relay(connection: Connection) -> None:
    """Be a proxy: `CONNECT` makes a tunnel, a request with a whole URL is passed on."""
    request = connection.read_head()
    if request is None:
        return
    if request.method == "CONNECT":
        host, _, port = request.target.rpartition(":")
        head = b""
    else:
        url = urlsplit(request.target)
        host, port = url.hostname or "", str(url.port)
        target = url.path + (f"?{url.query}" if url.query else "")
        lines = [
            f"{request.method} {target} HTTP/1.1",
            *(f"{name}: {value}" for name, value in request.headers.items()),
        ]
        head = "\r\n".join([*lines, "", ""]).encode("latin-1")
    made = b"HTTP/1.1 200 Connection established\r\n\r\n" if request.method == "CONNECT" else b""
    _pass_on(connection, (host, int(port)), made, head + connection.buffer)


def socks_relay(connection: Connection) -> None:
    """Be a proxy as in RFC 1928, SOCKS version 5, that asks for no login."""
    read_exactly(connection.sock, read_exactly(connection.sock, 2)[1])
    connection.send(b"\x05\x00")
    kind = read_exactly(connection.sock, 4)[3]
    if kind == 1:
        host = socket.inet_ntoa(read_exactly(connection.sock, 4))
    else:
        host = read_exactly(connection.sock, read_exactly(connection.sock, 1)[0]).decode("ascii")
    port = int.from_bytes(read_exactly(connection.sock, 2), "big")
    _pass_on(connection, (host, port), b"\x05\x00\x00\x01" + bytes(6), b"")


def read_exactly(sock: socket.socket, size: int) -> bytes:
    """Read so many bytes, or raise an `OSError` where the other side closes before that."""
    data = b""
    while len(data) < size:
        piece = sock.recv(size - len(data))
        if not piece:
            raise OSError("closed")
        data += piece
    return data


def _pass_on(connection: Connection, address: tuple[str, int], made: bytes, head: bytes) -> None:
    """Connect, tell the client by `made`, send `head` on, and then pass on what comes either way."""
    with socket.create_connection(address) as upstream:
        connection.server.adopt(upstream)
        connection.send(made)
        upstream.sendall(head)
        back = connection.server.start(_pump, upstream, connection.sock)
        _pump(connection.sock, upstream)
        back.join()


def _pump(source: socket.socket, sink: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(1 << 16):
            sink.sendall(data)
    with suppress(OSError):
        sink.shutdown(socket.SHUT_WR)


@contextmanager
def refusing_port() -> Iterator[int]:
    """Give a port of this machine where nobody listens, and nobody can begin to."""
    with socket.socket() as sock:
        sock.bind((HOST, 0))
        yield sock.getsockname()[1]


@contextmanager
def full_backlog() -> Iterator[int]:
    """Give a port where connections are neither accepted nor refused."""
    with socket.create_server((HOST, 0), backlog=0) as listener:
        port = listener.getsockname()[1]
        waiting = []
        try:
            while True:
                waiting.append(socket.socket())
                waiting[-1].setblocking(False)
                waiting[-1].connect_ex((HOST, port))
                if not select.select([], [waiting[-1]], [], 0.02)[1]:
                    break
            yield port
        finally:
            for sock in waiting:
                sock.close()


@functools.cache
def _authority() -> trustme.CA:
    return trustme.CA()


@functools.cache
def server_context() -> ssl.SSLContext:
    """Return a context with a certificate for this machine, which `client_context` trusts and nobody else."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    _authority().issue_cert(HOST, "localhost").configure_cert(context)
    return context


@functools.cache
def client_context() -> ssl.SSLContext:
    """Return a context that trusts `server_context`."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    _authority().configure_trust(context)
    return context


def authority_pem() -> bytes:
    """Return the certificate that `client_context` trusts."""
    return _authority().cert_pem.bytes()
