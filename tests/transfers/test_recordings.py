"""The recorded farmers of 2016, played to our client, byte for byte."""

from __future__ import annotations

import json
import random
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.client import IncompleteRead
from pathlib import Path
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.server import ServerConnection, serve

from pymdc import Timeout, config
from pymdc.core.job import Job
from pymdc.errors import ChannelError
from pymdc.transfers.shards import ShardBuffer
from pymdc.transfers.sources import ShardSources

from ..farmers import hash_of
from ..hostile import HOST

CURT = Timeout(connect=20, channel=0.1)
PATIENT = Timeout(connect=20, channel=20)
RECORDED = Path(__file__).parents[1] / "data"
VERSIONS = ["v0.2.4", "v0.3.0", "v0.6.6"]


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(config, "POLL_SECONDS", 0.02)


def entries_of(version: str) -> list[dict[str, Any]]:
    entries: list[dict[str, Any]] = json.loads((RECORDED / f"bridge-{version}-channel.json").read_text())["entries"]
    return entries


def recorded() -> Iterator[Any]:
    """Give the exchanges that begin with a request and were recorded to their end."""
    for version in VERSIONS:
        for entry in entries_of(version):
            events = entry.get("events", [])
            asked = isinstance(request_in(events), dict)
            if asked and not any("..." in event for event in events):
                yield pytest.param(version, events, id=f"{version} {entry['name'].removeprefix('ws: ')}")


def request_in(events: list[dict[str, Any]]) -> Any:
    """Return the request of a recorded client, or `None` if it sent no request."""
    sent = next((event for event in events if "send" in event), {})
    if sent.get("send") == "text":
        with suppress(ValueError):
            return json.loads(sent["data"])
    decoded = sent.get("decoded")
    return decoded[1] if isinstance(decoded, list) else None


class Exchange:
    """One recorded exchange. The long messages were not recorded whole: their bytes are ours, in the same sizes.

    Attributes:
        events: as they were recorded.
        body: the bytes of the shard.
        request: the request that the client must send.
        words: the farmer's message, if it refused.
        problems: the differences from the recording.
    """

    def __init__(self, events: list[dict[str, Any]]) -> None:
        self.events = events
        self.body = b"".join(content_of(event) for event in events)
        asked = request_in(events)
        self.complete = set(asked) == {"token", "hash", "operation"} and asked["operation"] == "PULL"
        file_hash = hash_of(self.body) if self.body else "11" * 20
        self.request = {"token": "t", "hash": file_hash, "operation": "PULL"}
        if self.complete:
            self.request["token"] = asked["token"]
        self.words = next((words for event in events if (words := words_of(event))), None)
        self.problems: list[str] = []

    def serve(self, connection: ServerConnection) -> None:
        first = connection.recv()
        earlier = isinstance(self.events[0].get("decoded"), list)
        if earlier and isinstance(first, str):
            self.play(v03_style_text(), connection)
            return
        expected = bytes.fromhex(self.events[0]["hex"]) if earlier else self.events[0]["data"].encode()
        if self.complete and isinstance(first, bytes) == earlier:  # else it tries the other form after no answer
            recorded_hash = request_in(self.events)["hash"]
            expected = expected.replace(recorded_hash.encode(), self.request["hash"].encode())
            got = first.encode() if isinstance(first, str) else first
            self.problems += [f"the client sent {got!r}"] * (got != expected)
        self.play(self.events, connection)

    def play(self, events: list[dict[str, Any]], connection: ServerConnection) -> None:
        for event in events:
            if event.get("recv") == "binary":
                connection.send(message_of(event))
            elif event.get("recv") == "text":
                connection.send(event["data"])
            elif event.get("recv") == "close":
                connection.close(event["code"], event["reason"])
            elif "dropped" in event:
                connection.socket.shutdown(socket.SHUT_RDWR)
            elif "timeout" in event:
                with suppress(ConnectionClosed):
                    connection.recv()


def v03_style_text() -> list[dict[str, Any]]:
    """Return how a farmer of v0.2.4 answered a request in the later form."""
    events: list[dict[str, Any]] = next(e for e in entries_of("v0.2.4") if "v0.3-style" in e["name"])["events"]
    return events


def content_of(event: dict[str, Any]) -> bytes:
    """Give the shard's bytes in a message."""
    if event.get("recv") != "binary":
        return b""
    payload = event["decoded"][1] if "decoded" in event else event
    if not isinstance(payload, dict) or "bytes" not in payload:
        return b""
    whole = bytes.fromhex(payload["head"])
    return whole if len(whole) == payload["bytes"] else random.Random(payload["head"]).randbytes(payload["bytes"])


def message_of(event: dict[str, Any]) -> bytes:
    """Give a binary message as it was on the wire; the recording holds the first 40 bytes of those of v0.2.4."""
    content = content_of(event)
    if "decoded" not in event:
        return content
    start = bytes.fromhex(event["hex"])
    kind, payload, stream = event["decoded"]
    if content:
        return start[: 7 if start[2] == 0xDB else 5] + content + bytes([stream])
    if payload is None:
        return start
    pairs = b"".join(text(name) + (b"\xc3" if value is True else text(value)) for name, value in payload.items())
    message = bytes([0x93, kind, 0x80 + len(payload)]) + pairs + bytes([stream])
    assert message.startswith(start)
    return message


def text(value: str) -> bytes:
    data = value.encode()
    return (bytes([0xB0 + len(data)]) if len(data) < 16 else b"\xd8" + len(data).to_bytes(2, "big")) + data


def words_of(event: dict[str, Any]) -> str | None:
    said = event["decoded"][1] if "decoded" in event else json.loads(event.get("data", "null"))
    words: str | None = said.get("message") if "recv" in event and isinstance(said, dict) else None
    return words


@contextmanager
def playing(exchange: Exchange) -> Iterator[dict[str, str]]:
    """Give the pointer to a farmer that plays an exchange."""
    server = serve(exchange.serve, HOST, 0, compression=None, ping_interval=None, close_timeout=1)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield {**exchange.request, "channel": f"ws://{HOST}:{server.socket.getsockname()[1]}"}
    finally:
        server.shutdown()
        thread.join()


@pytest.mark.parametrize(("version", "events"), list(recorded()))
def test_a_recorded_farmer_gives_the_shard_or_its_words_or_silence(version: str, events: list[dict[str, Any]]) -> None:
    exchange, body = Exchange(events), ShardBuffer(config.MAX_SHARD_BYTES)
    channels = ShardSources(PATIENT if exchange.body or exchange.words else CURT, True)
    with playing(exchange) as pointer:
        if exchange.body:
            channels.fetch(pointer, Job(lambda function: None), body)
            assert body.whole() == exchange.body
        else:
            expected: Any = ChannelError if exchange.words else (TimeoutError, IncompleteRead, ChannelError)
            with pytest.raises(expected) as caught:
                channels.fetch(pointer, Job(lambda function: None), body)
            assert exchange.words in (None, str(caught.value))
    assert exchange.problems == []


def test_each_recorded_version_gives_shards_and_words_or_silence() -> None:
    """Without these, the test above would have nothing to check."""
    for version in VERSIONS:
        exchanges = [Exchange(each.values[1]) for each in recorded() if each.values[0] == version]
        assert sum(bool(exchange.body) for exchange in exchanges) >= 5
        assert sum(exchange.complete and not exchange.body for exchange in exchanges) >= 2
