"""The table of the replies that a bridge may send, and of the ways in which a reply fails."""

from __future__ import annotations

import gzip
import json
import random
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.client import BadStatusLine, HTTPException, IncompleteRead, RemoteDisconnected
from typing import Any
from urllib.error import URLError

from pymdc import Client, Timeout

from ..hostile import Connection, Received, Script, Server, client_context, reply_bytes, server_context
from .expected import Asked, Expected, Fails, Gives, OneOf, Refused, what_was_asked
from .modes import Fault, Moment, Scene

__all__ = ["FINE", "HTML", "REFUSAL", "REPLIES", "bridge"]

Made = Callable[[random.Random], Script]

CURT = Timeout(connect=20, read=0.15, write=0.15, pool=20, transfer=0.15, channel=0.15)
DRIP = Timeout(20, 20, 20, 20, 20, 20, total=0.3)
REFUSAL = {"error": "Not authorized", "padding": "x" * 200}
FINE = reply_bytes(200, json.dumps(REFUSAL), Content_Type="application/json")
EARLY = reply_bytes(200, json.dumps(REFUSAL), Connection="close")  # a bridge that does not read the rest must say so
HEAD, BODY = FINE.split(b"\r\n\r\n", 1)
HEAD += b"\r\n\r\n"
HTML = b"<html><h1>Bad Gateway</h1></html>"
RESET = Fails((ConnectionResetError, BrokenPipeError))
LATE = Fails(TimeoutError)
CUT = Fails(IncompleteRead)
TOO_MUCH = Fails(HTTPException)
NO_HTTP = Fails(BadStatusLine)


@contextmanager
def bridge(moment: Moment, *scripts: Script) -> Iterator[Scene]:
    """Serve what the scripts say, and give a client of it."""
    with (
        Server(*scripts, context=server_context() if moment.tls else None) as server,
        Client(server.url, timeout=moment.timeout, verify=client_context()) as client,
    ):
        yield Scene(client, server.requests)


def _fault(name: str, made: Made, expected: Expected, **settings: Any) -> Fault:
    return Fault(name, lambda moment: bridge(moment, made(moment.chance)), expected, **settings)


def _each(*steps: Callable[[Connection], object]) -> Made:
    """Read each request, take the steps, and keep the connection as it is until the client closes it."""

    def script(connection: Connection) -> None:
        while connection.read_request() is not None:
            for step in steps:
                step(connection)

    return lambda chance: script


def _once(*steps: Callable[[Connection], object], read: bool = True) -> Made:
    """Read a request, take the steps, and close."""

    def script(connection: Connection) -> None:
        if not read or connection.read_request() is not None:
            for step in steps:
                step(connection)

    return lambda chance: script


def _sends(data: bytes) -> Callable[[Connection], object]:
    return lambda connection: connection.send(data)


def _without_end(data: bytes, pause: float = 0) -> Callable[[Connection], object]:
    """Send the same again and again, until the client has gone."""

    def step(connection: Connection) -> None:
        while not connection.server.closing.wait(pause):
            connection.send(data)

    return step


def _somewhere(data: bytes, start: int, end: Callable[[Connection], object]) -> Made:
    """Send the reply up to a byte that is drawn, from `start` on, and then do the rest."""

    def made(chance: random.Random) -> Script:
        place = chance.randrange(start, len(data))
        return _once(_sends(data[:place]), end)(chance)

    return made


def _in_the_request(end: Callable[[Connection], object]) -> Made:
    """Read some of a request's body, or all of a request that has none."""

    def made(chance: random.Random) -> Script:
        share = chance.random()

        def script(connection: Connection) -> None:
            head = connection.read_head()
            most = int(head.headers.get("content-length", "0")) * share if head is not None else 0
            came = len(connection.buffer)
            while came < most and (data := connection.sock.recv(1 << 16)):
                came += len(data)
            end(connection)

        return script

    return made


def _closes(connection: Connection) -> None:
    connection.sock.close()


def _waits_for_the_client(connection: Connection) -> None:
    connection.server.closing.wait(0.05)
    while connection.sock.recv(1 << 18):
        pass


def _replies_and_waits(connection: Connection) -> None:
    connection.send(EARLY)
    _waits_for_the_client(connection)


def _asked(surplus: bytes) -> Made:
    """Reply with what was asked for, and then send more."""

    def answer(request: Received) -> bytes:
        return reply_bytes(200, json.dumps({"you asked": what_was_asked(request)})) + surplus

    def script(connection: Connection) -> None:
        while (request := connection.read_request()) is not None:
            connection.send(answer(request))

    return lambda chance: script


def _reply(status: int, body: bytes | str = b"", **headers: str) -> Made:
    return _each(_sends(reply_bytes(status, body, **headers)))


def _json(text: bytes | str) -> Made:
    return _reply(200, text, Content_Type="application/json")


def _chunked(body: bytes, closes: bool = True) -> Made:
    headers = {"Connection": "close"} if closes else {}
    data = reply_bytes(200, body, Transfer_Encoding="chunked", **headers)
    return (_once if closes else _each)(_sends(data))


def _raw(text: str, closes: bool = True) -> Made:
    if closes:  # said in the head: else another request of the same call may meet the close
        text = text.replace("\n", "\nConnection: close\n", 1)
    data = text.replace("\n", "\r\n").encode("latin-1")
    return (_once if closes else _each)(_sends(data))


def _packed(data: bytes, encoding: str) -> Made:
    return _reply(200, data, Content_Encoding=encoding)


def _resets(name: str, made: Made, closed: Expected) -> list[Fault]:
    """Name two faults: over TLS, Python's `ssl` tells a reset as a close before 3.13 or so, and as either after."""
    return [
        _fault(f"reset {name}", made, OneOf(RESET, closed) if name == "at once" else RESET, secure=(False,)),
        _fault(f"reset {name}", made, OneOf(RESET, closed), secure=(True,)),
    ]


_BOMB = gzip.compress(bytes(32 * 1024 * 1024))
_PACKED = gzip.compress(BODY)

RESETS_AND_STALLS = [
    *_resets("at once", lambda chance: Connection.reset, Fails((URLError, RemoteDisconnected))),
    *_resets("within the request", _in_the_request(Connection.reset), Fails(RemoteDisconnected)),
    *_resets("before the reply", _once(Connection.reset), Fails(RemoteDisconnected)),
    *_resets("in the head", _somewhere(HEAD, 1, Connection.reset), Fails(RemoteDisconnected)),
    *_resets("in the body", _somewhere(FINE, len(HEAD), Connection.reset), CUT),
    _fault("closed before the reply", _once(), Fails(RemoteDisconnected)),
    _fault("closed in the head", _somewhere(HEAD, 1, _closes), Fails(RemoteDisconnected)),
    _fault("closed in the body", _somewhere(FINE, len(HEAD), _closes), CUT),
    _fault("stalled at once", lambda chance: Connection.wait, LATE, timeout=CURT, stalls=True),
    _fault("stalled within the request", _in_the_request(Connection.wait), LATE, timeout=CURT, stalls=True),
    _fault("stalled in the head", _somewhere(HEAD, 0, Connection.wait), LATE, timeout=CURT, stalls=True),
    _fault("stalled in the body", _somewhere(FINE, len(HEAD), Connection.wait), LATE, timeout=CURT, stalls=True),
    _fault("a drip of a head", _once(_without_end(b"H", 0.02)), OneOf(LATE, NO_HTTP), timeout=DRIP),
    _fault(
        "a drip of headers", _once(_sends(HEAD[:-2]), _without_end(b"a: b\r\n", 0.02)), LATE, timeout=DRIP, stalls=True
    ),
    _fault(
        "a drip of a body",
        _once(_sends(b"HTTP/1.1 200 X\r\n\r\n"), _without_end(b"x", 0.02)),
        LATE,
        timeout=DRIP,
        stalls=True,
    ),
]

SIZES = [
    _fault("an endless status line", _once(_without_end(b"HTTP/1.1 " + b"2" * 4096)), OneOf(NO_HTTP, RESET)),
    _fault(
        "an endless header", _once(_sends(b"HTTP/1.1 200 X\r\na: "), _without_end(b"b" * 4096)), OneOf(NO_HTTP, RESET)
    ),
    _fault("headers without end", _once(_sends(b"HTTP/1.1 200 X\r\n"), _without_end(b"a: b\r\n" * 500)), NO_HTTP),
    _fault("a head of 90 KB", _raw("HTTP/1.1 200 X\nContent-Length: 2\n" + "a: b\n" * 15_000 + "\n{}"), Gives({})),
    _fault("a body without end", _once(_sends(b"HTTP/1.1 200 X\r\n\r\n"), _without_end(b"x" * 65536)), TOO_MUCH),
    _fault(
        "a body of an exabyte",
        _once(_sends(b"HTTP/1.1 200 X\r\nContent-Length: 1000000000000000000\r\n\r\n"), _without_end(b"x" * 65536)),
        TOO_MUCH,
    ),
    _fault(
        "chunks without end",
        _once(
            _sends(b"HTTP/1.1 200 X\r\nTransfer-Encoding: chunked\r\n\r\n"),
            _without_end(b"10000\r\n" + b"x" * 65536 + b"\r\n"),
        ),
        TOO_MUCH,
    ),
    _fault(
        "trailers without end",
        _once(
            _sends(b"HTTP/1.1 200 X\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n"),
            _without_end(b"a: b\r\n" * 500),
        ),
        CUT,
    ),
    _fault("surplus: a whole reply", _asked(reply_bytes(200, '{"stolen": true}')), Asked(), twice=True),
    _fault("surplus: a line", _asked(b"\r\n"), Asked(), twice=True),
    _fault("surplus: an interim reply", _asked(b"HTTP/1.1 100 Continue\r\n\r\n"), Asked(), twice=True),
    _fault("surplus: a body of 204", _reply(204, b'{"stolen": true}'), Gives(""), twice=True),
    _fault("surplus: a body of 304", _reply(304, b'{"stolen": true}'), Gives(""), twice=True),
    _fault("a length that is too small", _reply(200, '{"id": 1}', Content_Length="5"), Gives('{"id"'), twice=True),
    _fault("a length that is too large", _raw("HTTP/1.1 200 X\nContent-Length: 90\n\n{}"), CUT),
    _fault("a length below zero", _raw("HTTP/1.1 200 X\nContent-Length: -2\n\n{}"), NO_HTTP),
    _fault("a length that is none", _raw("HTTP/1.1 200 X\nContent-Length: two\n\n{}"), NO_HTTP),
    _fault("two lengths", _raw("HTTP/1.1 200 X\nContent-Length: 2\nContent-Length: 3\n\n{} "), NO_HTTP),
    _fault("no length", _raw("HTTP/1.1 200 X\n\n{}"), Gives({})),
]

CHUNKS = [
    _fault("good chunks", _chunked(b"1;x=y\r\n{\r\n1\r\n}\r\n0\r\na: b\r\n\r\n", closes=False), Gives({}), twice=True),
    _fault(
        "chunks and a length",
        _raw("HTTP/1.1 200 X\nContent-Length: 9\nTransfer-Encoding: chunked\n\n2\n{}\n0\n\n"),
        Gives({}),
    ),
    _fault("a chunk size that is none", _chunked(b"zz\r\n{}\r\n0\r\n\r\n"), CUT),
    _fault("a chunk size below zero", _chunked(b"-2\r\n{}\r\n0\r\n\r\n"), CUT),
    _fault(
        "a chunk size without end",
        _once(_sends(reply_bytes(200, b"", Transfer_Encoding="chunked")), _without_end(b"f" * 4096)),
        CUT,
    ),
    _fault("a chunk that is longer than its size", _chunked(b"1\r\n{}\r\n0\r\n\r\n"), CUT),
    _fault("a chunk that is cut short", _chunked(b"9\r\n{}"), CUT),
    _fault("no last chunk", _chunked(b"2\r\n{}\r\n"), CUT),
    _fault(
        "another transfer encoding", _raw("HTTP/1.1 200 X\nTransfer-Encoding: gzip, chunked\n\n2\n{}\n0\n\n"), NO_HTTP
    ),
]

ENCODINGS = [
    _fault("one layer of gzip", _packed(_PACKED, "gzip"), Gives(REFUSAL)),
    _fault("two layers of gzip", _packed(gzip.compress(_PACKED), "gzip, gzip"), TOO_MUCH),
    _fault("gzip that is none", _packed(BODY, "gzip"), TOO_MUCH),
    _fault("gzip that is cut short", _packed(_PACKED[:-9], "gzip"), CUT),
    _fault("gzip with more behind it", _packed(_PACKED + b"more", "gzip"), TOO_MUCH),
    _fault("a bomb of gzip", _packed(_BOMB, "gzip"), TOO_MUCH),
    _fault("deflate", _packed(zlib.compress(BODY), "deflate"), TOO_MUCH),
    _fault("brotli", _packed(b"\x0b\x02\x80{}\x03", "br"), TOO_MUCH),
    _fault("an encoding of a hundred layers", _packed(BODY, "gzip, " * 99 + "gzip"), TOO_MUCH),
    _fault(
        "an encoding that is cut short in chunks",
        _once(_sends(reply_bytes(200, b"5\r\n" + _PACKED[:5], Content_Encoding="gzip", Transfer_Encoding="chunked"))),
        CUT,
    ),
]

_DEEP = b"[" * 100_000 + b"]" * 100_000

VALUES = [
    _fault("JSON that is cut short", _json('{"id":'), Gives('{"id":')),
    _fault("JSON that is none, and a failure", _reply(500, '{"id":'), Refused(500, b'{"id":')),
    _fault("JSON with NaN", _json('{"id": NaN}'), Gives('{"id": NaN}')),
    _fault("JSON that is deep", _json(_DEEP), Gives(_DEEP.decode())),
    _fault("JSON that is deep, and a failure", _reply(500, _DEEP), Refused(500, _DEEP)),
    _fault("JSON of very many values", _json(b"[" + b"[]," * 1_300_000 + b"1]"), TOO_MUCH, mib=96),
    _fault("a number of many digits", _json("9" * 5000), Gives("9" * 5000)),
    _fault("a refusal", _reply(401, BODY), Gives(REFUSAL)),
    _fault("HTML", _reply(502, HTML, Content_Type="text/html"), Refused(502, HTML)),
    _fault("no body, and a failure", _reply(500), Refused(500)),
    _fault("no body", _reply(204), Gives("")),
    _fault("bytes that are no text", _reply(200, b"\xff\x00"), Gives(b"\xff\x00")),
    _fault("text", _reply(200, "it's fine"), Gives("it's fine")),
    _fault("null", _json("null"), Gives(None)),
]

NOT_HTTP = [
    _fault("another protocol", _once(_sends(b"220 mail.example.com ESMTP\r\n\r\n")), NO_HTTP),
    _fault(
        "a banner before the request",
        _once(_sends(b"SSH-2.0-OpenSSH_9.2\r\n\r\n"), _waits_for_the_client, read=False),
        NO_HTTP,
    ),
    _fault(
        "bytes at random", lambda chance: _once(_sends(b"\x00" + chance.randbytes(300) + b"\r\n\r\n"))(chance), NO_HTTP
    ),
    _fault("HTTP of another version", _raw("HTTP/3.7 200 X\nContent-Length: 2\n\n{}"), OneOf(NO_HTTP, Gives({}))),
    _fault("a status that is none", _raw("HTTP/1.1 2x0 X\nContent-Length: 2\n\n{}"), NO_HTTP),
    _fault("a header that is none", _raw("HTTP/1.1 200 X\nContent Length: 2\n\n{}"), NO_HTTP),
    _fault("switching protocols", _raw("HTTP/1.1 101 X\n\n{}"), OneOf(NO_HTTP, Refused(101))),
]

INTERIM = [
    _fault(
        "some interim replies", _each(_sends(b"HTTP/1.1 103 X\r\na: b\r\n\r\n" * 5 + FINE)), Gives(REFUSAL), twice=True
    ),
    _fault(
        "an interim reply, and then nothing",
        _once(_sends(b"HTTP/1.1 100 Continue\r\n\r\n"), Connection.wait),
        LATE,
        timeout=CURT,
        stalls=True,
    ),
    _fault(
        "an interim reply, and then the end", _once(_sends(b"HTTP/1.1 100 Continue\r\n\r\n")), Fails(RemoteDisconnected)
    ),
    _fault(
        "an interim reply that is cut",
        _somewhere(b"HTTP/1.1 100 Continue\r\n\r\n", 1, Connection.wait),
        LATE,
        timeout=CURT,
        stalls=True,
    ),
    _fault("a flood of interim replies", _once(_without_end(b"HTTP/1.1 100 Continue\r\n\r\n" * 50)), NO_HTTP),
    _fault(
        "a flood of interim replies, unasked",
        _once(_without_end(b"HTTP/1.1 100 Continue\r\n\r\n" * 50), read=False),
        OneOf(NO_HTTP, RESET),
    ),
    _fault(
        "an interim reply without end", _once(_sends(b"HTTP/1.1 102 X\r\n"), _without_end(b"a: b\r\n" * 500)), NO_HTTP
    ),
    _fault("a reply before the request", _once(_sends(EARLY), _waits_for_the_client, read=False), Gives(REFUSAL)),
    _fault(
        "a reply within the request",
        _in_the_request(_replies_and_waits),
        Gives(REFUSAL),
    ),
    _fault(
        "a reply before the request, and a close",
        _once(_sends(EARLY), read=False),
        OneOf(Gives(REFUSAL), OneOf(RESET, Fails(RemoteDisconnected))),
    ),
    _fault(
        "HTML before the request",
        _once(_sends(reply_bytes(413, HTML, Connection="close")), _waits_for_the_client, read=False),
        Refused(413, HTML),
    ),
]

REPLIES = [*RESETS_AND_STALLS, *SIZES, *CHUNKS, *ENCODINGS, *VALUES, *NOT_HTTP, *INTERIM]
