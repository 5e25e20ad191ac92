"""The table of the faults of a farmer, or of a store with a direct URL, in a download."""

from __future__ import annotations

import base64
import hashlib
import random
import ssl
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass, field
from http.client import BadStatusLine, IncompleteRead, RemoteDisconnected
from typing import Any
from urllib.error import URLError

from websockets.exceptions import ConnectionClosed

from pymdc import Timeout
from pymdc.errors import ChannelError, IntegrityError

from ..farmers import Answer, Network, Shard, whole, whole_as_in_v066
from ..hostile import (
    HOST,
    Connection,
    Received,
    Script,
    Server,
    full_backlog,
    refusing_port,
    reply_bytes,
    server_context,
)
from .calls import CONTENT, FILE_HASH, TOKEN, Call
from .expected import Expected, Fails, OneOf
from .faults_of_roads import bad_context
from .modes import Fault, Moment, Scene

__all__ = ["DIRECT_SECRET", "FARMERS"]

DIRECT_SECRET = "secret-of-the-url-16180339"
CURT = Timeout(connect=20, read=20, write=20, pool=20, transfer=20, channel=0.15)
HASTY = Timeout(connect=0.15, read=20, write=20, pool=20, transfer=20, channel=20)
DRIP = Timeout(20, 20, 20, 20, 20, 20, total=0.5)
REFUSED = Fails(ChannelError)
LATE = Fails(TimeoutError)
CUT = Fails(IncompleteRead)
RESET = Fails((ConnectionResetError, BrokenPipeError, RemoteDisconnected))  # over TLS, Python may tell a close


class Whole:
    """The file, whole."""

    def check(self, value: Any, call: Call, asked: list[Received]) -> None:
        if call.name != "Files.download to a path":
            assert value == CONTENT
        else:
            assert (value["hash"], value["size"]) == (FILE_HASH, len(CONTENT)), value


class _Pointing(Network):
    """A network whose pointers say something else in some places."""

    def __init__(self, change: Callable[[dict[str, Any]], None], **settings: Any) -> None:
        super().__init__(**settings)
        self._change = change

    def _pointer(self, shard: str) -> dict[str, str]:
        pointer = super()._pointer(shard)
        self._change(pointer)
        return pointer


@dataclass
class _FarmersScene(Scene):
    """A scene with farmers."""

    network: Network = field(kw_only=True)


@contextmanager
def _network(moment: Moment, change: Callable[[dict[str, Any]], None], **settings: Any) -> Iterator[_FarmersScene]:
    version = moment.chance.choice([ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3]) if moment.tls else None
    with _Pointing(change, tls=version, timeout=moment.timeout, **settings) as network:
        network.store(CONTENT)
        network.bucket_tokens.add(TOKEN)
        try:
            yield _FarmersScene(network.client, network.bridge_asked, network=network)
        finally:
            network.left.set()


def _unchanged(pointer: dict[str, Any]) -> None:
    pass


def _farmer(name: str, answer: Answer, expected: Expected, earlier: bool = False, **settings: Any) -> Fault:
    """A farmer that speaks the protocol up to some point."""
    return Fault(
        f"a farmer {name}",
        lambda moment: _network(moment, _unchanged, answer=answer, earlier=earlier),
        expected,
        only="down",
        **settings,
    )


def _at_random(name: str, then: Answer, expected: Expected, **settings: Any) -> Fault:
    """A farmer that sends a shard up to a byte that is drawn, and then does something else."""

    def place(moment: Moment) -> AbstractContextManager[Scene]:
        return _network(moment, _unchanged, answer=_after(moment.chance.random(), then))

    return Fault(f"a farmer {name} somewhere in a shard", place, expected, only="down", **settings)


def _now_and_then(name: str, bad: Answer, **settings: Any) -> Fault:
    """A farmer that fails two of the shards that it is asked for, drawn, and is good at all others."""

    @contextmanager
    def place(moment: Moment) -> Iterator[Scene]:
        with _network(moment, _unchanged) as scene:
            answers: list[Answer | None] = [bad, bad, None, None]
            moment.chance.shuffle(answers)
            scene.network.answers = answers
            yield scene

    return Fault(f"a farmer {name} for two of four shards", place, Whole(), only="down", **settings)


def _pointer(name: str, expected: Expected, **changes: Any) -> Fault:
    return Fault(
        f"a pointer {name}",
        lambda moment: _network(moment, lambda pointer: pointer.update(changes)),
        expected,
        only="down",
    )


def _thing(
    name: str, script: Script, expected: Expected, context: ssl.SSLContext | None = None, **settings: Any
) -> Fault:
    """A server at the channel's address that is no farmer; with a context of its own, it is for `wss` alone."""

    @contextmanager
    def place(moment: Moment) -> Iterator[Scene]:
        change: dict[str, Any] = {}
        tls = context or (server_context() if moment.tls else None)
        with _network(moment, lambda pointer: pointer.update(change)) as scene, Server(script, context=tls) as server:
            change["channel"] = f"{'wss' if moment.tls else 'ws'}://{HOST}:{server.port}"
            yield scene

    return Fault(f"a channel {name}", place, expected, only="down", **settings)


def _at(name: str, opened: Any, expected: Expected, **settings: Any) -> Fault:
    """A channel at a port where there is nothing."""

    @contextmanager
    def place(moment: Moment) -> Iterator[Scene]:
        with opened() as port:
            channel = f"{'wss' if moment.tls else 'ws'}://{HOST}:{port}"
            with _network(moment, lambda pointer: pointer.update(channel=channel)) as scene:
                yield scene

    return Fault(f"a channel {name}", place, expected, only="down", **settings)


def _direct(name: str, script: Script, **settings: Any) -> list[Fault]:
    """A store at the pointer's URL. If it fails, the farmer is asked; if that fails too, its error is the value."""

    def fault(words: str, answer: Answer, expected: Expected) -> Fault:
        @contextmanager
        def place(moment: Moment) -> Iterator[Scene]:
            change: dict[str, Any] = {}
            context = server_context() if moment.tls else None
            network = _network(moment, lambda pointer: pointer.update(change), answer=answer)
            with network as scene, Server(script, context=context) as server:
                change["url"] = f"{server.url}/shard?token={DIRECT_SECRET}"
                yield scene

        return Fault(f"a store {name}, {words}", place, expected, only="down", **settings)

    return [
        fault("and a good farmer", whole, Whole()),
        fault("and a bad farmer", lambda shard: shard.refuse("no"), REFUSED),
    ]


def _until_left(step: Callable[[Shard], object], pause: float = 0.002) -> Answer:
    def answer(shard: Shard) -> None:
        with suppress(ConnectionClosed, OSError):
            while not shard.network.left.wait(pause):
                step(shard)

    return answer


def _after(share: float, then: Answer) -> Answer:
    def answer(shard: Shard) -> None:
        shard.send(shard.body[: int(len(shard.body) * share)])
        then(shard)

    return answer


def _silently(shard: Shard) -> None:
    with suppress(ConnectionClosed, OSError):
        shard.connection.recv()


def _others(shard: Shard) -> None:
    shard.send(random.Random(1).randbytes(len(shard.body)))


def _wise(text: str) -> Answer:
    return lambda shard: shard.connection.send(text)


def _says(data: bytes) -> Script:
    def script(connection: Connection) -> None:
        connection.read_head()
        connection.send(data)

    return script


def _accepts(*data: bytes, end: Callable[[Connection], object] = lambda connection: None) -> Script:
    def script(connection: Connection) -> None:
        request = connection.read_head()
        if request is None:
            return
        key = request.headers["sec-websocket-key"] + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
        accept = base64.b64encode(hashlib.sha1(key.encode()).digest()).decode()
        head = f"HTTP/1.1 101 X\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {accept}\r\n\r\n"
        connection.send(head.encode() + b"".join(data))
        end(connection)

    return script


def _endlessly(head: bytes, piece: bytes) -> Script:
    def script(connection: Connection) -> None:
        connection.read_head()
        connection.send(head)
        while not connection.server.closing.is_set():
            connection.send(piece)

    return script


def _shard_of(data: bytes, length: int | None = None, status: int = 200) -> Script:
    return _says(reply_bytes(status, data, Content_Length=str(len(data) if length is None else length)))


GOOD = [
    _farmer("of v0.3.0", whole, Whole()),
    _farmer("of v0.6.6", whole_as_in_v066, Whole()),
    _farmer("of v0.2.4", whole, Whole(), earlier=True),
]

FAULTS_OF_FARMERS = [
    _farmer("that refuses", lambda shard: shard.refuse("no such shard"), REFUSED),
    _farmer("of v0.2.4 that refuses", lambda shard: shard.refuse("no such shard"), REFUSED, earlier=True),
    _farmer("that sends something else", _others, Fails(IntegrityError)),
    _farmer("that sends too little", lambda shard: shard.send(shard.body[:-1]), Fails(IntegrityError)),
    _farmer(
        "that sends too much", lambda shard: shard.send(shard.body + b"more"), Fails((IntegrityError, ChannelError))
    ),
    _farmer("that closes at once", lambda shard: None, REFUSED),
    _farmer(
        "that drops the channel",
        Shard.drop,
        OneOf(CUT, Fails((ConnectionResetError, RemoteDisconnected, ChannelError))),
    ),
    _farmer("that drops the channel in the midst", _after(0.5, Shard.drop), OneOf(CUT, RESET)),
    _farmer("that is silent", _silently, LATE, timeout=CURT, stalls=True),
    _farmer("that falls silent", _after(0.5, _silently), LATE, timeout=CURT, stalls=True),
    _farmer("of v0.2.4 that falls silent", _after(0.5, _silently), LATE, earlier=True, timeout=CURT, stalls=True),
    _farmer("that only pings", _until_left(lambda shard: shard.raw(b"\x89\x00")), LATE, timeout=CURT, stalls=True),
    _farmer("that says all is well", _until_left(_wise('{"code":200}'), 0), REFUSED),
    _farmer("that sends nothing, often", _until_left(lambda shard: shard.connection.send(b""), 0), REFUSED),
    _farmer(
        "that drips", _until_left(lambda shard: shard.connection.send(b"x"), 0.02), LATE, timeout=DRIP, stalls=True
    ),
    _farmer(
        "that sends without end", _until_left(lambda shard: shard.connection.send(bytes(65536)), 0), REFUSED, mib=160
    ),
    _farmer("that breaks the protocol", lambda shard: shard.raw(b"\xff" * 100), REFUSED),
    _farmer("that breaks it in the midst", _after(0.5, lambda shard: shard.raw(b"\xff" * 100)), REFUSED),
    _farmer("that announces an exabyte", lambda shard: shard.raw(b"\x82\x7f" + b"\x0f" * 8), REFUSED),
    _farmer("that says what is no JSON", _wise("{"), REFUSED),
    _farmer("that says deep JSON", _wise("[" * 100_000), REFUSED),
    _farmer("that says a number of many digits", _wise("9" * 5000), REFUSED),
]

SOMEWHERE = [
    _at_random("that drops the channel", Shard.drop, OneOf(CUT, RESET)),
    _at_random("that is silent", _silently, LATE, timeout=CURT, stalls=True),
    _at_random("that breaks the protocol", lambda shard: shard.raw(b"\xff" * 100), REFUSED),
    _now_and_then("that refuses", lambda shard: shard.refuse("no such shard")),
    _now_and_then("that drops the channel", Shard.drop),
    _now_and_then("that falls silent", _after(0.5, _silently), timeout=CURT),
    _now_and_then("that sends something else", _others),
    _now_and_then("that closes at once", lambda shard: None),
]

POINTERS = [
    _pointer("without a channel", REFUSED, channel=None),
    _pointer("without a token", REFUSED, token=7),
    _pointer("with a hash that is none", REFUSED, hash="../../etc"),
    _pointer("to a web page", REFUSED, channel="http://127.0.0.1/"),
    _pointer("with a login", Fails(URLError), channel="ws://a:b@127.0.0.1:1/"),
    _pointer("to no such host", Fails(URLError), channel="ws://nowhere.invalid:1/"),
    _pointer("with a URL that is none", Whole(), url="http://[\r\n"),
    _pointer("with a URL to nobody", Whole(), url=f"http://127.0.0.1:1/?{DIRECT_SECRET}"),
]

CHANNELS = [
    _at("to nobody", refusing_port, Fails(URLError, ConnectionRefusedError)),
    _at("to a dead address", full_backlog, Fails(URLError, TimeoutError), timeout=HASTY, stalls=True),
    _thing("to a web page", _says(reply_bytes(200, "<html>")), REFUSED),
    _thing("that is not found", _says(reply_bytes(404)), REFUSED),
    _thing("that leads elsewhere", _says(reply_bytes(301, Location="http://127.0.0.1:1/")), REFUSED),
    _thing("of another protocol", _says(b"220 mail.example.com ESMTP\r\n\r\n"), Fails(BadStatusLine)),
    _thing("that is closed", _says(b""), Fails(RemoteDisconnected)),
    _thing("that is reset", Connection.reset, OneOf(RESET, Fails(URLError))),
    _thing("that stalls in the handshake", Connection.wait, Fails(URLError, TimeoutError), timeout=HASTY, stalls=True),
    _thing(
        "whose head has no end",
        _endlessly(b"HTTP/1.1 101 X\r\n", b"a: b\r\n" * 500),
        Fails((ChannelError, BadStatusLine)),
    ),
    _thing("with another key", _says(b"HTTP/1.1 101 X\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n"), REFUSED),
    _thing("with a masked frame", _accepts(b"\x82\x85mask12345"), REFUSED),
    _thing(
        "that is reset after the handshake", _accepts(end=Connection.reset), OneOf(RESET, OneOf(CUT, Fails(URLError)))
    ),
    _thing(
        "that is reset in a shard",
        _accepts(b"\x82\x05hello", end=Connection.reset),
        OneOf(CUT, RESET),
    ),
    _thing("that is cut in a frame", _accepts(b"\x82\x7ehe"), OneOf(CUT, RESET)),
    *(
        _thing(
            f"with a certificate {kind}",
            Connection.wait,
            Fails(URLError, ssl.SSLError),
            bad_context(kind),
            secure=(True,),
        )
        for kind in ("expired", "of another host", "of nobody")
    ),
]

STORES = [
    *_direct("that refuses", _says(reply_bytes(403, "<Error/>"))),
    *_direct("that leads elsewhere", _says(reply_bytes(302, Location="http://127.0.0.1:1/"))),
    *_direct("that gives something else", _shard_of(b"something else")),
    *_direct("that gives too little", _shard_of(b"x" * 100, 200)),
    *_direct("that gives too much", _shard_of(b"x", 10**12)),
    *_direct("that gives no length", _says(b"HTTP/1.1 200 X\r\n\r\n")),
    *_direct("that is no HTTP", _says(b"220 mail\r\n\r\n")),
    *_direct("that closes", _says(b"")),
    *_direct("that resets", Connection.reset),
    *_direct("whose head has no end", _endlessly(b"HTTP/1.1 200 X\r\n", b"a: b\r\n" * 500)),
]

FARMERS = [*GOOD, *FAULTS_OF_FARMERS, *SOMEWHERE, *POINTERS, *CHANNELS, *STORES]
