"""A bridge and a farmer that do what a script says: real sockets, threads, and none of the package's own code.

`tests/test_doubles.py` plays the recordings to both. The bridge has one bucket and its files, and answers as the
recorded one in `tests/data/bridge-v0.6.6-http.json`, with its status codes: 500 for a token that is not valid, among
others.
The farmer behaves as the recorded ones in `tests/data/bridge-*-channel.json`: by default as v0.3.0, which refuses in
words and then drops the connection; with `whole_as_in_v066` and `refusal=Shard.wait` as v0.6.6, which says nothing to a
bad token; with `earlier=True` as v0.2.4, which speaks BinaryJS and answers anything else with close 1000.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import os
import socket
import ssl
import struct
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import ExitStack, suppress
from pathlib import Path
from types import TracebackType
from typing import Any

from websockets.exceptions import ConnectionClosed
from websockets.sync.server import Server as FarmerServer
from websockets.sync.server import ServerConnection, serve

from pymdc import Client, Timeout
from pymdc.api import ECDSA, Files
from pymdc.core.hashes import ripemd160

from .hostile import HOST, Connection, Received, Server, client_context, reply_bytes, server_context
from .terminator import terminating

BUCKET = "56ef0d0656ea9c0d1f8e4e1a"
PAIR = ECDSA(private_key="11" * 32)
MESSAGE_BYTES = 64 * 1024  # as the recorded servers send them


def hash_of(data: bytes) -> str:
    return ripemd160(hashlib.sha256(data).hexdigest().encode()).hex()


def cut(data: bytes | bytearray, size: int) -> list[bytes]:
    return [bytes(data[start : start + size]) for start in range(0, len(data), size)]


def names_in(folder: Path) -> list[str]:
    return sorted(each.name for each in folder.iterdir())


class Shard:
    """One request on a channel: what was asked for, and the ways to answer."""

    def __init__(self, connection: ServerConnection, network: Network, shard: str, token: str) -> None:
        self.connection = connection
        self.network = network
        self.hash = shard
        self.token = token
        self.body = network.shards.get(shard, b"")

    def send(self, data: bytes | bytearray) -> None:
        for piece in cut(data, MESSAGE_BYTES):
            self.connection.send(piece)

    def say(self, code: int, message: str) -> None:
        self.connection.send(_compact({"code": code, "message": message}))

    def refuse(self, message: str) -> None:
        """Say why, and end as the recorded farmer does: v0.3.0 crashes."""
        self.say(400, message)
        self.drop()

    def raw(self, data: bytes) -> None:
        """Put bytes on the wire that are no message."""
        self.connection.socket.sendall(data)

    def drop(self) -> None:
        """Close the connection without a close frame."""
        self.connection.socket.shutdown(socket.SHUT_RDWR)

    def wait(self) -> None:
        """Say nothing more, with the connection open, until the client has closed it."""
        with suppress(ConnectionClosed):
            while True:
                self.connection.recv()
        self.network.left.set()


Answer = Callable[[Shard], None]


def whole(shard: Shard) -> None:
    """Answer as v0.3.0 does; the close with 1000 follows when this returns."""
    shard.send(shard.body)


def whole_as_in_v066(shard: Shard) -> None:
    shard.send(shard.body)
    shard.connection.send(_compact({"code": 200}))


def _compact(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"))


class Network:
    """A bridge with one bucket, and its farmers, while the context is open.

    Arguments:
        answer: how the farmer answers a request whose token is good.
        refusal: how it answers one whose token is not; else in words.
        earlier: whether the farmer speaks BinaryJS, as up to v0.2.4.
        tls: the version of TLS in front of the farmer; without one the channel is `ws`.
        restless: whether new session tickets and new keys come all the time, as only TLS 1.3 has them.

    Attributes:
        answers: taken from, in turn, in place of `answer`.
        shards: what the farmer has, by hash.
        asked: the hashes that the farmer was asked for, in order.
        sent: how often it has sent which shard to its end.
        spoil: called with each reply of the bridge; sends it, or does something worse.
    """

    def __init__(
        self,
        answer: Answer = whole,
        refusal: Answer | None = None,
        *,
        earlier: bool = False,
        tls: ssl.TLSVersion | None = None,
        restless: bool = False,
        timeout: Timeout | None = None,
    ) -> None:
        self.answer = answer
        self.answers: list[Answer | None] = []
        self.refusal = refusal
        self.shards: dict[str, bytes] = {}
        self.files: dict[str, tuple[dict[str, Any], list[str]]] = {}
        self.asked: list[str] = []
        self.sent: Counter[str] = Counter()
        self.connections = 0
        self.tokens: dict[str, str] = {}
        self.spent: set[str] = set()
        self.bucket_tokens: set[str] = set()
        self.bridge_asked: list[Received] = []
        self.spoil: Callable[[Connection, bytes], None] = lambda connection, reply: connection.send(reply)
        self.begun = threading.Event()
        self.left = threading.Event()
        self.channel = ""
        self._earlier = earlier
        self._tls = tls
        self._restless = restless
        self._timeout = timeout or Timeout(connect=20, read=20, write=20, pool=20, transfer=20, channel=20)
        self._numbers = itertools.count(1)
        self._lock = threading.Lock()
        self._stack = ExitStack()

    def __enter__(self) -> Network:
        before = set(threading.enumerate())
        self._stack.callback(_join_all_but, before)  # those of the farmer's connections, and those of downloads
        farmer = serve(self._serve, HOST, 0, compression=None, ping_interval=None, close_timeout=1)
        thread = threading.Thread(target=farmer.serve_forever)
        thread.start()
        self._stack.callback(_close_pipe, farmer)
        self._stack.callback(thread.join)
        self._stack.callback(farmer.shutdown)
        port = farmer.socket.getsockname()[1]
        self.channel = f"ws://{HOST}:{port}"
        if self._tls is not None:
            context = server_context.__wrapped__()  # not that of others
            context.minimum_version = context.maximum_version = self._tls
            front = self._stack.enter_context(Server(terminating(port, context, restless=self._restless)))
            self.channel = f"wss://{HOST}:{front.port}"
        self.bridge = self._stack.enter_context(Server(self._script))
        self.client = self._stack.enter_context(Client(self.bridge.url, timeout=self._timeout, verify=client_context()))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def bucket(self, credentials: object = PAIR) -> Any:  # a `Files`; the tests look at values of every kind
        return Files(BUCKET, credentials, client=self.client)

    def store(self, data: bytes, size: int = 100_000, name: Any = "a.bin", pieces: Iterable[bytes] = ()) -> str:
        """Have a file, in shards of that size, or in these."""
        file_hash, shards = hash_of(data), list(pieces) or cut(data, size)
        self.shards |= {hash_of(shard): shard for shard in shards}
        entry = {"bucket": BUCKET, "mimetype": "a/b", "filename": name, "size": len(data), "hash": file_hash}
        self.files[file_hash] = (entry, [hash_of(shard) for shard in shards])
        return file_hash

    def token(self) -> str:
        """Issue a token of the bucket: it serves once."""
        token = f"bucket-token-{next(self._numbers)}"
        self.bucket_tokens.add(token)
        return token

    def _script(self, connection: Connection) -> None:
        while (request := connection.read_request()) is not None:
            self.bridge_asked.append(request)
            self.spoil(connection, self._reply(request))

    def _reply(self, request: Received) -> bytes:
        status, value = self._answer(request)
        kind = "application/json; charset=utf-8"
        return reply_bytes(
            status, _compact(value), Vary="Origin", Access_Control_Allow_Credentials="true", Content_Type=kind
        )

    def _answer(self, request: Received) -> tuple[int, Any]:
        last = request.path.rpartition("/")[2]
        if last in ("tokens", "files") and not {"x-signature", "authorization"} & set(request.headers):
            return 401, {"error": "No authentication strategy detected"}
        if last == "tokens":
            token, expires = self.token(), "2016-04-30T12:05:00.000Z"
            operation = request.json["operation"]
            return 200, {"bucket": BUCKET, "operation": operation, "expires": expires, "token": token, "id": token}
        if last == "files":
            return 200, [entry for entry, _ in self.files.values()]
        if request.headers.get("x-token") not in self.bucket_tokens:
            return 500, {"error": "Invalid or expired token"}
        self.bucket_tokens.discard(request.headers["x-token"])
        if last not in self.files:
            return 404, {"error": "The requested file was not found"}
        return 200, [self._pointer(shard) for shard in self.files[last][1]]

    def _pointer(self, shard: str) -> dict[str, str]:
        token = f"channel-token-{next(self._numbers)}"
        self.tokens[token] = shard
        return {"hash": shard, "token": token, "operation": "PULL", "channel": self.channel}

    def _serve(self, connection: ServerConnection) -> None:
        self.connections += 1
        with suppress(ConnectionClosed, OSError):
            (_serve_earlier if self._earlier else _serve_later)(connection, self)

    def handle(self, shard: Shard) -> None:
        with self._lock:
            refused = self._refused(shard)
            self.asked.append(shard.hash)
            answer = (self.answers.pop(0) if self.answers else None) or self.answer
        self.begun.set()
        if refused and self.refusal:
            self.refusal(shard)
        elif refused:
            shard.refuse(refused)
        else:
            answer(shard)
            if answer in (whole, whole_as_in_v066):
                self.sent[shard.hash] += 1

    def _refused(self, shard: Shard) -> str:
        """Give the recorded words for a bad token, or "" for a good one, which is spent with that."""
        if shard.token in self.spent and self._earlier:
            return "Channel is already active"
        if shard.token not in self.tokens:
            return "The supplied token is not accepted"
        if self.tokens[shard.token] != shard.hash:
            return "Token not valid for hash"
        del self.tokens[shard.token]
        self.spent.add(shard.token)
        return ""


def _join_all_but(others: set[threading.Thread]) -> None:
    end = time.monotonic() + 60
    while rest := set(threading.enumerate()) - others:
        assert time.monotonic() < end, f"{rest} go on"
        for thread in rest:
            with suppress(RuntimeError):  # it is being started
                thread.join(1)


def _close_pipe(farmer: FarmerServer) -> None:
    """Close what websockets 16, the last one for Python 3.10, leaves open. Later ones close what they have here."""
    for end in (farmer.shutdown_watcher, farmer.shutdown_notifier):
        if isinstance(end, int):
            os.close(end)


def _serve_later(connection: ServerConnection, network: Network) -> None:
    asked: Any = None
    with suppress(ValueError):
        asked = json.loads(connection.recv())
    if (words := _mistake(asked)) is None:
        network.handle(Shard(connection, network, asked["hash"], asked["token"]))
        return
    shard = Shard(connection, network, "", "")
    if network.refusal:
        network.refusal(shard)
    elif words:
        shard.refuse(words)
    else:
        shard.drop()


def _mistake(asked: Any) -> str | None:
    """Give the recorded words for what is no request, "" where the farmer crashes before it says any, else `None`."""
    if not isinstance(asked, dict):
        return "Failed to parse message"
    for name, words in (("token", "You did not supply a token"), ("hash", "You did not supply the data hash")):
        if name not in asked:
            return words
    return None if asked.get("operation") == "PULL" else ""


# BinaryJS, as js-binarypack writes it; golden bytes, so that the package's own code is not what answers it.


class EarlierShard(Shard):
    """A request in the earlier form."""

    def send(self, data: bytes | bytearray) -> None:
        for piece in cut(data, MESSAGE_BYTES):
            self.connection.send(b"\x93\x02" + _head_of_bytes(len(piece)) + piece + b"\x00")

    def say(self, code: int, message: str) -> None:
        text = message.encode()
        self.connection.send(
            b"\x93\x02\x82\xb7message\xd8" + struct.pack(">H", len(text)) + text + b"\xb5error\xc3\x00"
        )

    def refuse(self, message: str) -> None:
        self.say(400, message)
        self.connection.close()

    def end(self) -> None:
        """Say that this was all; the farmer does not close."""
        self.connection.send(b"\x93\x05\xc0\x00")
        with suppress(ConnectionClosed):
            while True:
                self.connection.recv()


def _head_of_bytes(size: int) -> bytes:
    if size < 16:
        return bytes([0xA0 + size])
    return b"\xda" + struct.pack(">H", size) if size < 1 << 16 else b"\xdb" + struct.pack(">I", size)


def _serve_earlier(connection: ServerConnection, network: Network) -> None:
    message = connection.recv()
    head = b"\x93\x01\x83\xb5token"
    if isinstance(message, str) or not message.startswith(head):
        connection.close()  # with 1000, and no word
        return
    token, rest = _text(message[len(head) :])
    assert rest.startswith(b"\xb4hash")
    shard, rest = _text(rest[5:])
    assert rest == b"\xb9operation\xb4PULL\x00"
    asked = EarlierShard(connection, network, shard, token)
    network.handle(asked)
    asked.end()


def _text(data: bytes) -> tuple[str, bytes]:
    if data[0] == 0xD8:
        size, data = struct.unpack(">H", data[1:3])[0], data[3:]
    else:
        size, data = data[0] - 0xB0, data[1:]
    return data[:size].decode(), data[size:]
