"""Each call under each fault of the network: the documented value, in both modes, and the callback exactly once."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import BadStatusLine, IncompleteRead, RemoteDisconnected
from typing import Any
from urllib.error import HTTPError, URLError

import pytest

from pymdc import Client, Timeout
from pymdc.api import ECDSA, REST, Bucket, Buckets, Files, Keys, Users
from pymdc.errors import ChannelError
from tests.hostile import (
    HOST,
    Connection,
    Script,
    Server,
    answering,
    full_backlog,
    refusing_port,
    reply_bytes,
    server_context,
)

pytestmark = pytest.mark.usefixtures("_no_waiting")

Call = Callable[[Client, Any], Any]

PAIR = ECDSA()
TRUSTS_NOBODY = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
PATIENT = Timeout(20, 20, 20, 20, 20)
HASTY = Timeout(connect=0.02, read=20, write=20, pool=20, transfer=20)
CURT = Timeout(connect=20, read=0.03, write=20, pool=20, transfer=0.03)


def _user(client: Client) -> Users:
    return Users("alice@example.com", "secret", client=client)


CALLS: dict[str, Call] = {
    "Users.register": lambda client, callback: _user(client).register(callback),
    "Users.activate": lambda client, callback: _user(client).activate("abcdef", callback),
    "Keys.list": lambda client, callback: Keys(_user(client), client=client).list(callback),
    "Keys.create": lambda client, callback: Keys(_user(client), client=client).create(PAIR, callback),
    "Keys.delete": lambda client, callback: Keys(_user(client), client=client).delete(PAIR, callback),
    "Buckets.create": lambda client, callback: Buckets(PAIR, client=client).create("b", 1, 1, [PAIR], callback),
    "Buckets.list": lambda client, callback: Buckets(PAIR, client=client).list(callback),
    "Bucket.list": lambda client, callback: Bucket("id", PAIR, client=client).list(callback),
    "Bucket.delete": lambda client, callback: Bucket("id", PAIR, client=client).delete(callback),
    "Bucket.patch": lambda client, callback: Bucket("id", PAIR, client=client).patch({"name": "c"}, callback),
    "Files.list": lambda client, callback: Files("id", PAIR, client=client).list(callback),
    "Files.token": lambda client, callback: Files("id", PAIR, client=client).token("PUSH", callback),
    "Files.upload": lambda client, callback: Files("id", PAIR, client=client).upload(__file__, "token", callback),
    "Files.download": lambda client, callback: Files("id", PAIR, client=client).download("00ff", "token", callback),
    "Files.pointers": lambda client, callback: Files("id", PAIR, client=client).pointers("00ff", "token", callback),
    "Files.delete": lambda client, callback: Files("id", PAIR, client=client).delete("00ff", callback),
    "REST": lambda client, callback: REST("GET", "/contacts", callback=callback, client=client),
}


@dataclass(frozen=True)
class Failure:
    """An exception value: its class, the class of its reason, and the status and body where it is a reply."""

    kind: type[Exception]
    reason: type[Exception] | None = None
    status: int | None = None
    body: bytes = b""

    def check(self, value: Any) -> None:
        assert type(value) is self.kind
        if isinstance(value, HTTPError):
            assert (value.code, value.read()) == (self.status, self.body)
            assert value.headers["Content-Type"] == "text/html"
            return
        assert isinstance(value.__cause__, Exception)
        if self.reason is not None:
            assert isinstance(value, URLError)
            assert isinstance(value.reason, self.reason)


@dataclass(frozen=True)
class Result:
    """A value that is not an exception."""

    result: Any

    def check(self, value: Any) -> None:
        assert type(value) is type(self.result)
        assert value == self.result


@dataclass(frozen=True)
class Situation:
    """A fault: a place that has it, and the documented value."""

    place: Callable[[], Any]
    expected: Failure | Result
    timeout: Timeout = PATIENT


def served(script: Script, scheme: str = "http", context: ssl.SSLContext | None = None) -> Callable[[], Any]:
    @contextmanager
    def place() -> Iterator[str]:
        with Server(script, context=context) as server:
            yield f"{scheme}://{HOST}:{server.port}"

    return place


@contextmanager
def refused() -> Iterator[str]:
    with refusing_port() as port:
        yield f"http://{HOST}:{port}"


@contextmanager
def no_such_host() -> Iterator[str]:
    yield "http://nowhere.invalid"


@contextmanager
def malformed() -> Iterator[str]:
    yield "bridge.example.com"


@contextmanager
def unanswered() -> Iterator[str]:
    with full_backlog() as port:
        yield f"http://{HOST}:{port}"


def not_tls(connection: Connection) -> None:
    connection.sock.recv(1 << 16)
    connection.reply(400, "this is plain HTTP")


def silent(connection: Connection) -> None:
    connection.read_request()
    connection.wait()


def silent_in_the_body(connection: Connection) -> None:
    connection.read_request()
    connection.reply(200, '{"id":', Content_Length="100")
    connection.wait()


def reset_before_the_reply(connection: Connection) -> None:
    connection.read_request()
    connection.reset()


def reset_in_the_body(connection: Connection) -> None:
    connection.read_request()
    connection.reply(200, '{"id":', Content_Length="100")
    connection.reset()


def closed_without_a_reply(connection: Connection) -> None:
    connection.read_request()


def garbage(connection: Connection) -> None:
    connection.read_request()
    connection.send(b"\x00\x01 220 mail.example.com ESMTP\r\n\r\n")


def cut_short(connection: Connection) -> None:
    connection.read_request()
    connection.reply(200, '{"id":', Content_Length="100")


def cut_short_in_chunks(connection: Connection) -> None:
    connection.read_request()
    connection.reply(200, '6\r\n{"id":\r\n', Transfer_Encoding="chunked")


def replying(status: int, body: bytes | str = b"", **headers: str) -> Callable[[], Any]:
    reply = reply_bytes(status, body, Content_Type="text/html", **headers)
    return served(answering(lambda request: reply))


HTML = b"<html><h1>Bad Gateway</h1></html>"
JSON = {
    "a dict": ('{"error": "Not authorized"}', {"error": "Not authorized"}),
    "a list": ('[{"id": 1}, {"id": 2}]', [{"id": 1}, {"id": 2}]),
    "a str": ('"gr\\u00fc\\u00df dich"', "grüß dich"),
    "a number": ("-1.5e3", -1500.0),
    "true": ("true", True),
    "false": ("false", False),
    "null": ("null", None),
}

SITUATIONS: dict[str, Situation] = {
    "refused": Situation(refused, Failure(URLError, ConnectionRefusedError)),
    "no such host": Situation(no_such_host, Failure(URLError, socket.gaierror)),
    "malformed endpoint": Situation(malformed, Failure(URLError)),
    "no TLS": Situation(served(not_tls, "https"), Failure(URLError, ssl.SSLError)),
    "untrusted certificate": Situation(
        served(silent, "https", server_context()), Failure(URLError, ssl.SSLCertVerificationError)
    ),
    "connect timeout": Situation(unanswered, Failure(URLError, TimeoutError), HASTY),
    "read timeout": Situation(served(silent), Failure(TimeoutError), CURT),
    "read timeout in the body": Situation(served(silent_in_the_body), Failure(TimeoutError), CURT),
    "reset before the reply": Situation(served(reset_before_the_reply), Failure(ConnectionResetError)),
    "reset in the body": Situation(served(reset_in_the_body), Failure(ConnectionResetError)),
    "closed without a reply": Situation(served(closed_without_a_reply), Failure(RemoteDisconnected)),
    "garbage": Situation(served(garbage), Failure(BadStatusLine)),
    "cut short": Situation(served(cut_short), Failure(IncompleteRead)),
    "cut short in chunks": Situation(served(cut_short_in_chunks), Failure(IncompleteRead)),
    "redirect elsewhere": Situation(
        replying(302, HTML, Location="http://elsewhere.invalid/"), Failure(HTTPError, status=302, body=HTML)
    ),
    "HTML 502": Situation(replying(502, HTML), Failure(HTTPError, status=502, body=HTML)),
    "empty 500": Situation(replying(500), Failure(HTTPError, status=500)),
    "empty 200": Situation(replying(200), Result("")),
    "empty 204": Situation(replying(204), Result("")),
    "text 200": Situation(replying(200, "it's fine"), Result("it's fine")),
    "bytes 200": Situation(replying(200, b"\xff\x00"), Result(b"\xff\x00")),
    **{
        f"{kind} with {status}": Situation(replying(status, text), Result(value))
        for kind, (text, value) in JSON.items()
        for status in (200, 500)
    },
}


@dataclass(frozen=True)
class NoPointers:
    """The value of a download if the bridge sends something else than pointers."""

    def check(self, value: Any) -> None:
        assert type(value) is ChannelError


def expected_of(name: str, situation: Situation) -> Failure | Result | NoPointers:
    """Return the documented value: the same for all calls, except that a download reads the bridge's reply."""
    expected = situation.expected
    if name == "Files.download" and isinstance(expected, Result) and not isinstance(expected.result, dict):
        return NoPointers()
    return expected


@pytest.mark.parametrize("situation", SITUATIONS.values(), ids=SITUATIONS.keys())
@pytest.mark.parametrize("name", CALLS)
def test_each_call_gives_the_documented_value_in_both_modes(name: str, situation: Situation) -> None:
    call, expected = CALLS[name], expected_of(name, situation)
    values: list[Any] = []
    with situation.place() as endpoint, Client(endpoint, timeout=situation.timeout, verify=TRUSTS_NOBODY) as client:
        returned = call(client, None)
        handle = call(client, values.append)
        handle.join()
    expected.check(returned)
    assert len(values) == 1
    assert handle.result() is values[0]
    expected.check(values[0])


def test_every_public_call_is_in_the_table() -> None:
    """A call that is added to the API is added here."""
    public = {
        f"{kind.__name__}.{name}"
        for kind in (Users, Keys, Buckets, Bucket, Files)
        for name in dir(kind)
        if not name.startswith("_") and name not in ("password_hash", "discard")  # which ask no bridge
    }
    assert set(CALLS) == public | {"REST"}


def test_the_received_part_of_a_body_cut_short_is_in_the_error() -> None:
    with served(cut_short)() as endpoint, Client(endpoint, verify=TRUSTS_NOBODY) as client:
        value = REST("GET", "/", client=client)
    assert isinstance(value, IncompleteRead)
    assert (value.partial, value.expected) == (b'{"id":', 94)
