from __future__ import annotations

import contextlib
import gc
import json
import os
import select
import socket
import weakref
from pathlib import Path
from typing import Any

import anyio
import httpx
import obstore
import pytest
from starlette.types import Message
from starlette.websockets import WebSocket
from uvicorn.protocols.utils import ClientDisconnected
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from pymdc.bridge import peers, protocols
from pymdc.bridge.context import Bridge
from pymdc.bridge.protocols import Channel
from pymdc.bridge.routes import channel
from pymdc.bridge.settings import Settings

from ..harness import Person, Running, fetch, file_hash, object_store, until
from ..loop import visited, watched_loop

DATA = Path(__file__).parent.parent.parent / "data"
HELLO = b"Hello MetaDisk API!"
HASH = "d72d91d8ec94f89f5b6b84be2a03ba661a34c1e2"


@pytest.fixture(scope="module")
def person(bridge: Running) -> tuple[Person, str]:
    alice = bridge.person()
    bucket = alice.bucket()
    assert alice.upload(bucket, HELLO).json()["hash"] == HASH
    return alice, bucket


def pointer(person: tuple[Person, str]) -> dict[str, str]:
    found: dict[str, str] = person[0].pointers(person[1], HASH).json()[0]
    return found


def opened(person: tuple[Person, str], path: str = "") -> ClientConnection:
    url = person[0].bridge.thread.url.replace("http", "ws")
    return connect(url + path, compression=None, proxy=None, open_timeout=30)


def with_little_room(bridge: Running) -> socket.socket:
    """Connect to a bridge with a socket that takes little before it is read."""
    raw = socket.socket()
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    url = httpx.URL(bridge.thread.url)
    raw.connect((url.host, url.port))
    return raw


def events(socket: ClientConnection) -> list[Any]:
    """The messages, and the code of the close at the end."""
    received: list[Any] = []
    try:
        while True:
            received.append(socket.recv(timeout=30))
    except ConnectionClosed:
        return [*received, socket.close_code]


def _recorded(version: str) -> list[Any]:
    entries = json.loads((DATA / f"bridge-{version}-channel.json").read_text("utf-8"))["entries"]
    return [
        pytest.param(entry, id=f"{version} {entry['name']}")
        for entry in entries
        if "events" in entry and "shard" not in entry["name"]
    ]


@pytest.mark.parametrize("entry", _recorded("v0.3.0") + _recorded("v0.6.6"))
def test_the_recorded_channel_messages_hold(
    person: tuple[Person, str], entry: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Messages and closes, but for `{"code": 200}` (v0.6.6) and silence; every error is a text, then a close."""
    monkeypatch.setattr(channel, "CHANNEL_REQUEST_SECONDS", 0.2)
    fresh = pointer(person)
    if "reused" in entry["name"]:
        with opened(person) as socket:
            socket.send(json.dumps(fresh))
            events(socket)
    with opened(person, "/some/path?a=b" if "path" in entry["name"] else "") as socket:
        for event in entry["events"]:
            if "send" in event:
                data = event.get("data") or bytes.fromhex(event["hex"]).decode()
                sent = _mapped(data, fresh, entry["name"])
                socket.send(sent if event["send"] == "text" else sent.encode())
        received = events(socket)
    expected = [event for event in entry["events"] if "recv" in event]
    if expected and expected[0]["recv"] == "binary":
        size = int(expected[0]["bytes"])
        assert received == [HELLO, 1000] if size == 19 else [1008]
    else:
        message = json.loads(received[0])
        assert set(message) == {"code", "message"}
        assert message["code"] >= 400
        assert received[1:] == [1008]
        if expected and expected[0]["recv"] == "text":
            assert message == json.loads(expected[0]["data"])


def _mapped(data: str, fresh: dict[str, str], name: str) -> str:
    try:
        sent = json.loads(data)
    except ValueError:
        return data
    if "token" in sent and "bad token" not in name:
        sent["token"] = fresh["token"]
    return json.dumps(sent)


@pytest.mark.parametrize(
    ("sent", "message"),
    [
        ("[]", "Failed to parse message"),
        (b"\xff\xfe", "Failed to parse message"),
        ('{"token": 5}', "You did not supply a token"),
        ('{"token": "t", "hash": {}}', "You did not supply the data hash"),
        ('{"token": "\\ud800", "hash": "h", "operation": "PULL"}', "The supplied token is not accepted"),
        ('{"token": "t", "hash": "h", "operation": "PUSH"}', "The operation is not supported"),
    ],
)
def test_a_message_that_asks_for_nothing_is_refused(
    person: tuple[Person, str], sent: str | bytes, message: str
) -> None:
    with opened(person) as socket:
        socket.send(sent)
        assert events(socket) == [json.dumps({"code": 400, "message": message}, separators=(",", ":")), 1008]


def test_a_message_that_is_too_large_is_told_before_the_channel_is_closed(person: tuple[Person, str]) -> None:
    with opened(person) as socket:
        socket.send("x" * 17_000)
        assert events(socket) == ['{"code":413,"message":"The request is too large"}', 1009]


def test_a_frame_that_no_websocket_sends_is_told_before_the_channel_is_closed(person: tuple[Person, str]) -> None:
    with opened(person) as socket:
        socket.socket.sendall(b"\xff\x80\0\0\0\0")
        assert events(socket) == ['{"code":400,"message":"This is no message of a WebSocket"}', 1002]


def test_nothing_follows_the_close_of_a_channel(person: tuple[Person, str]) -> None:
    url = httpx.URL(person[0].bridge.thread.url)
    with socket.create_connection((url.host, url.port), 30) as raw:
        raw.sendall(UPGRADE)
        received = b""
        while b"\r\n\r\n" not in received:  # before that, a client may send nothing
            received += raw.recv(65536)
        raw.sendall(b"\x81\x82\0\0\0\0{}")
        while b"\x88" not in received.partition(b"\r\n\r\n")[2]:
            received += raw.recv(65536)
        raw.sendall(b"\xff\x80\0\0\0\0")
        while piece := raw.recv(65536):
            received += piece
    _, _, close = received.partition(b"\x88")
    assert len(close) == 1 + close[0], "its length, and as many bytes"


@pytest.mark.parametrize("ended", ["close", "abort"])
def test_a_client_that_leaves_while_a_shard_is_sent_harms_no_other_one(
    bridge: Running, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, ended: str
) -> None:
    """The connection ends in the same turn of the event loop in which a piece of the shard is sent on it."""
    send, outcomes = Channel.send, []

    async def end_and_send(self: Channel, message: Any) -> None:
        if message.get("bytes"):
            getattr(self.transport, ended)()
        try:
            await send(self, message)
        except ClientDisconnected as error:
            outcomes.append(error)
            raise

    monkeypatch.setattr(Channel, "send", end_and_send)
    alice = bridge.person()
    bucket = alice.bucket()
    found = alice.upload(bucket, os.urandom(1 << 20)).json()["hash"]
    asked = alice.pointers(bucket, found).json()[0]
    with connect(asked["channel"], compression=None, proxy=None) as leaving:
        leaving.send(json.dumps(asked))
        assert events(leaving) == [1006]
    assert len(outcomes) == 1
    assert not caplog.records
    for _ in range(2):  # the first one may get the number of the socket that was closed
        assert httpx.get(bridge.thread.url + "/health/live", timeout=10).status_code == 200


def test_a_client_that_leaves_before_it_asks_does_no_harm(person: tuple[Person, str]) -> None:
    with opened(person):
        pass
    assert person[0].bridge.http.get("/health").status_code == 200


def test_a_reader_that_does_not_read_is_dropped(bridge: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(peers, "SEND_SECONDS", 0.2)
    alice = bridge.person()
    bucket, data = alice.bucket(), bytes(8 << 20)
    found = alice.upload(bucket, data).json()["hash"]
    asked = alice.pointers(bucket, found).json()[0]
    raw = with_little_room(bridge)
    with connect(asked["channel"], sock=raw, compression=None, proxy=None, max_queue=1) as slow:
        slow.send(json.dumps(asked))
        watched = select.poll()
        watched.register(raw, select.POLLHUP | select.POLLERR)
        assert watched.poll(30_000), "the bridge has dropped the connection"
        received = events(slow)
    assert sum(len(message) for message in received[:-1]) < len(data)
    assert received[-1] != 1000


def test_little_of_a_shard_waits_for_a_reader_that_does_not_read(
    bridge: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Some releases of Python take all that `writelines` is given (CVE-2024-12254)."""
    waiting: list[int] = []
    pause_writing = protocols.Channel.pause_writing

    def noted(self: protocols.Channel) -> None:
        waiting.append(self.transport.get_write_buffer_size())
        pause_writing(self)

    monkeypatch.setattr(protocols.Channel, "pause_writing", noted)
    alice = bridge.person()
    bucket = alice.bucket()
    asked = alice.pointers(bucket, alice.upload(bucket, bytes(8 << 20)).json()["hash"]).json()[0]
    raw = with_little_room(bridge)
    with connect(asked["channel"], sock=raw, compression=None, proxy=None, max_queue=1) as slow:
        slow.send(json.dumps(asked))
        until(bridge, lambda: waiting)
        raw.shutdown(socket.SHUT_RDWR)
    assert waiting[0] < 1 << 20


def test_a_channel_that_has_ended_is_not_kept_in_memory(
    person: tuple[Person, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Thousands of ended channels would fill the memory."""
    begun: list[weakref.ref[protocols.Channel]] = []
    connection_made = protocols.Channel.connection_made

    def noted(self: protocols.Channel, transport: Any) -> None:
        begun.append(weakref.ref(self))
        connection_made(self, transport)

    monkeypatch.setattr(protocols.Channel, "connection_made", noted)
    assert fetch(pointer(person)) == HELLO
    with opened(person):
        pass

    def are_gone() -> bool:
        gc.collect()
        return len(begun) == 2 and all(channel() is None for channel in begun)

    until(person[0].bridge, are_gone)


DAMAGED = {"code": 500, "message": "The shard is missing or damaged: upload its file again to repair it"}


@pytest.mark.parametrize("harm", ["lost", "cut", "flipped"])
def test_a_shard_that_is_lost_or_damaged_never_ends_as_a_good_one(bridge: Running, harm: str) -> None:
    alice = bridge.person()
    bucket, data = alice.bucket(), harm.encode() * 200_000
    found = alice.upload(bucket, data).json()["hash"]
    asked = alice.pointers(bucket, found).json()[0]
    (blob,) = bridge.sql("SELECT blob FROM shards WHERE hash = ?", file_hash(data))[0]
    bridge.lose(blob)
    if harm != "lost":
        obstore.put(object_store(bridge.settings), blob, {"cut": data[:-1], "flipped": b"x" + data[1:]}[harm])
    with connect(asked["channel"], compression=None, proxy=None) as socket:
        socket.send(json.dumps(asked))
        *received, message, code = events(socket)
    assert json.loads(message) == DAMAGED
    assert code == 1011
    assert sum(len(piece) for piece in received) < len(data)
    assert alice.upload(bucket, data).status_code == 200
    assert alice.download(bucket, found) == data, "the same content again mends it"


def test_a_store_that_cannot_be_reached_is_an_error(own_bridge: Running) -> None:
    alice = own_bridge.person()
    bucket = alice.bucket()
    asked = alice.pointers(bucket, alice.upload(bucket, HELLO).json()["hash"]).json()[0]
    with own_bridge.without_store(), connect(asked["channel"], compression=None, proxy=None) as socket:
        socket.send(json.dumps(asked))
        message, code = events(socket)
    assert json.loads(message) == {"code": 503, "message": "The store is not available, try again later"}
    assert code == 1011


@pytest.mark.parametrize("size", [125, 126, 65535, 65536, 65537, 300_000])
def test_a_shard_comes_in_messages_of_up_to_64_kib(bridge: Running, size: int) -> None:
    alice = bridge.person()
    bucket, data = alice.bucket(), os.urandom(65536) * 4 + os.urandom(size)
    asked = alice.pointers(bucket, alice.upload(bucket, data).json()["hash"]).json()[0]
    with connect(asked["channel"], compression=None, proxy=None) as socket:
        socket.send(json.dumps(asked))
        *received, code = events(socket)
    assert code == 1000
    assert b"".join(received) == data
    assert max(len(piece) for piece in received) == 65536


def test_a_client_that_pings_and_never_reads_is_not_read_and_is_disconnected(
    bridge: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(peers, "SEND_SECONDS", 1.0)
    url = httpx.URL(bridge.thread.url)
    with socket.create_connection((url.host, url.port), 30) as raw:
        raw.sendall(
            b"GET / HTTP/1.1\r\nHost: b\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        )
        pings, sent = (b"\x89\xfd" + bytes(4) + bytes(125)) * 1000, 0
        try:
            while sent < 64 << 20:
                raw.sendall(pings)
                sent += len(pings)
        except ConnectionError:
            return
    pytest.fail("the bridge goes on reading")


UPGRADE = (
    b"GET / HTTP/1.1\r\nHost: b\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)
FLOODS = {"pings": b"\x89\x80\0\0\0\0", "pongs": b"\x8a\x80\0\0\0\0", "fragments": b"\0\x80\0\0\0\0"}


@pytest.mark.parametrize("kind", FLOODS)
def test_a_flood_of_small_frames_delays_nobody_and_is_cut_off(bridge: Running, kind: str) -> None:
    url = httpx.URL(bridge.thread.url)
    with visited(bridge.thread.url) as others, watched_loop(bridge.thread) as stalls:
        for _ in range(3):
            with socket.create_connection((url.host, url.port), 30) as raw:
                raw.sendall(UPGRADE)
                assert raw.recv(12) == b"HTTP/1.1 101"
                with contextlib.suppress(ConnectionError):
                    raw.sendall((b"\x01\x80\0\0\0\0" if kind == "fragments" else b"") + FLOODS[kind] * (2 << 20))
                    while raw.recv(65536):  # a bridge that goes on listening lets this time out
                        pass
    assert stalls.longest < 0.2, "what a program beside it may add included; without a bound it is a second"
    assert max(others.seconds) < 5


def test_a_message_after_the_close_of_a_channel_is_ignored(person: tuple[Person, str]) -> None:
    url = httpx.URL(person[0].bridge.thread.url)
    with socket.create_connection((url.host, url.port), 30) as raw:
        raw.sendall(UPGRADE)
        assert raw.recv(12) == b"HTTP/1.1 101"
        raw.sendall(b"\x88\x80\0\0\0\0" + FLOODS["pings"] * 100)
        while raw.recv(65536):
            pass


def test_a_defect_is_logged_and_answered(
    person: tuple[Person, str], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(channel, "decode_object", None)
    with opened(person) as socket:
        socket.send("{}")
        assert events(socket) == ['{"code":500,"message":"Internal error"}', 1011]
    assert "Traceback" in caplog.text


def test_an_error_to_a_client_that_is_gone_does_no_harm(tmp_path: Path) -> None:
    arriving: list[Message] = [{"type": "websocket.connect"}, {"type": "websocket.receive", "text": "{bad"}]

    async def receive() -> Message:
        return arriving.pop(0)

    async def send(message: Message) -> None:
        if message["type"] != "websocket.accept":
            raise OSError("gone")

    async def serve() -> None:
        bridge = Bridge.open(Settings(tmp_path))
        await channel.serve(bridge, WebSocket({"type": "websocket", "headers": []}, receive, send))
        bridge.store.close()

    anyio.run(serve)
    assert not arriving
