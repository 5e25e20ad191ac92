"""The data channel: one shard from farmers that behave as recorded, and from worse ones."""

from __future__ import annotations

import base64
import hashlib
import logging
import random
import ssl
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from http.client import BadStatusLine, IncompleteRead, RemoteDisconnected
from pathlib import Path
from typing import Any
from urllib.error import URLError

import pytest
from websockets.exceptions import ConnectionClosed

from pymdc import Timeout, config
from pymdc.core.job import Job
from pymdc.errors import ChannelError, IntegrityError
from pymdc.transfers.shards import Body, ShardBuffer
from pymdc.transfers.sources import ShardSources

from ..farmers import Answer, Network, Shard, cut, hash_of, whole
from ..hostile import HOST, Connection, Script, Server, client_context

CURT = Timeout(connect=20, channel=0.1)
PATIENT = Timeout(connect=20, channel=20)
BODY = random.Random(2).randbytes(200_001)


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(config, "POLL_SECONDS", 0.02)


def job() -> Job:
    return Job(lambda function: None)


def fetched(answer: Answer, body: bytes = BODY, timeout: Timeout = PATIENT, **settings: Any) -> bytes:
    with Network(answer, **settings) as network:
        network.store(body, max(len(body), 1), pieces=[body])
        pointer = network._pointer(hash_of(body))
        return fetch(ShardSources(timeout, client_context()), pointer)


def fetched_from(script: Script, timeout: Timeout = PATIENT) -> bytes:
    """Fetch from a socket that is not a farmer."""
    with Server(script) as server:
        pointer = {"hash": hash_of(BODY), "token": "t", "channel": f"ws://{HOST}:{server.port}"}
        return fetch(ShardSources(timeout, True), pointer)


def fetch(channels: ShardSources, pointer: Any) -> bytes:
    body = ShardBuffer(config.MAX_SHARD_BYTES)
    channels.fetch(pointer, job(), body)
    return bytes(body.whole())


# Messages and frames


def test_the_bytes_of_a_shard_can_be_seen_while_they_come() -> None:
    seen = threading.Event()

    def in_steps(shard: Shard) -> None:
        shard.connection.send(shard.body[:1000])
        assert seen.wait(20)
        shard.connection.send(shard.body[1000:])

    class Watched(ShardBuffer):
        def add(self, piece: Body) -> None:
            super().add(piece)
            if self.size == 1000:
                seen.set()

    with Network(in_steps) as network:
        network.store(BODY, len(BODY))
        body = Watched(config.MAX_SHARD_BYTES)
        ShardSources(PATIENT, True).fetch(network._pointer(hash_of(BODY)), job(), body)
    assert body.whole() == BODY


@pytest.mark.parametrize("sizes", [[5], [0, 5], [5, 5], [1, 9 * 2**20], [5, 8 * 2**20, 1, 2**20], [2**20] * 20])
def test_pieces_of_any_sizes_are_gathered_again_and_again(sizes: list[int]) -> None:
    body = ShardBuffer(config.MAX_SHARD_BYTES)
    for seed in range(2):
        pieces = [random.Random(seed).randbytes(size) for size in sizes]
        for piece in pieces:
            body.add(piece)
        assert body.size == sum(sizes)
        assert body.whole() == b"".join(pieces)
        body.clear()
        assert bytes(body.whole()) == b""


def in_fragments(shard: Shard) -> None:
    def pieces() -> Any:
        for start in range(0, len(shard.body), 10_000):
            yield shard.body[start : start + 10_000]

    shard.connection.send(pieces())


def between_pings(shard: Shard) -> None:
    shard.connection.ping()
    shard.send(shard.body[:100])
    pong = shard.connection.ping()
    assert pong.wait(20)
    shard.send(shard.body[100:])


def in_one_message(shard: Shard) -> None:
    shard.connection.send(shard.body)


@pytest.mark.parametrize("answer", [in_fragments, between_pings, in_one_message])
def test_a_shard_may_come_in_any_frames(answer: Answer) -> None:
    assert fetched(answer) == BODY


def test_a_text_in_fragments_is_one_text() -> None:
    def refuse(shard: Shard) -> None:
        shard.connection.send(iter(['{"code": 400, ', '"message": "no é', '!"}']))

    with pytest.raises(ChannelError, match="no é!"):
        fetched(refuse)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('{"code": 500}', "the farmer refused"),
        ("out of order", "out of order"),
        ("[1]", r"\[1\]"),
        ("[" * 100_000, r"\[\["),
        ('{"code": 200.5, "message": 5}', "5"),
    ],
)
def test_any_other_text_is_a_refusal(text: str, words: str) -> None:
    with pytest.raises(ChannelError, match=words):
        fetched(lambda shard: shard.connection.send(text))


def test_other_content_is_an_integrity_error() -> None:
    with pytest.raises(IntegrityError, match=f"the shard {hash_of(BODY)} came with other content"):
        fetched(lambda shard: shard.send(b"x"))


def test_a_farmer_that_closes_in_the_middle_is_an_incomplete_read_with_what_came() -> None:
    def leave(shard: Shard) -> None:
        shard.send(shard.body[:1000])
        shard.connection.close(1001)

    with pytest.raises(IncompleteRead) as caught:
        fetched(leave)
    assert caught.value.partial == BODY[:1000]


def test_more_bytes_than_any_shard_has_are_not_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(config, "MAX_SHARD_BYTES", 100_000)
    with pytest.raises(ChannelError, match="more than 100000 bytes"):
        fetched(whole)
    with pytest.raises(ChannelError, match="does not speak the protocol"):
        fetched(in_one_message)


def test_if_both_forms_fail_the_error_of_the_second_is_the_value() -> None:
    """The farmer drops both connections: that for the later form, and then that for the earlier one."""
    with Network(lambda shard: shard.drop()) as network:
        network.store(BODY, len(BODY))
        with pytest.raises(IncompleteRead):
            fetch(ShardSources(PATIENT, True), network._pointer(hash_of(BODY)))
        assert network.connections == 2


def test_a_farmer_whose_form_is_known_is_not_tried_in_the_other() -> None:
    with Network() as network:
        network.store(BODY, len(BODY))
        channels = ShardSources(PATIENT, True)
        fetch(channels, network._pointer(hash_of(BODY)))
        network.answer = Shard.drop
        with pytest.raises(IncompleteRead):
            fetch(channels, network._pointer(hash_of(BODY)))
        assert network.connections == 2


# Deadlines: progress is bytes of the shard


def until_left(step: Callable[[Shard], object]) -> Answer:
    """Take a step again and again, until the client has gone."""

    def answer(shard: Shard) -> None:
        with suppress(ConnectionClosed, OSError):
            while not shard.network.left.wait(0.01):
                step(shard)

    return answer


def fragments(shard: Shard) -> None:
    shard.raw(b"\x02\x00")
    until_left(lambda shard: shard.raw(b"\x00\x00"))(shard)


def texts_in_fragments(shard: Shard) -> None:
    shard.raw(b"\x01\x01x")
    until_left(lambda shard: shard.raw(b"\x00\x01x"))(shard)


def half_a_ping(shard: Shard) -> None:
    shard.raw(b"\x89\x7d")
    until_left(lambda shard: shard.raw(b"x"))(shard)


HOLDING: dict[str, Answer] = {
    "pings": until_left(lambda shard: shard.raw(b"\x89\x00")),
    "pongs": until_left(lambda shard: shard.raw(b"\x8a\x00")),
    "texts that say that all is well": until_left(lambda shard: shard.connection.send('{"code":200}')),
    "empty messages": until_left(lambda shard: shard.connection.send(b"")),
    "empty fragments": fragments,
    "a text in fragments": texts_in_fragments,
    "a ping that is never whole": half_a_ping,
}


@pytest.mark.parametrize("how", HOLDING)
@pytest.mark.parametrize("after", [0, 100])
def test_a_farmer_that_holds_a_download_without_bytes_of_the_shard_is_left(how: str, after: int) -> None:
    def answer(shard: Shard) -> None:
        shard.send(shard.body[:after])
        HOLDING[how](shard)

    began = time.monotonic()
    with Network(answer) as network:
        network.store(BODY, len(BODY))
        try:
            with pytest.raises((TimeoutError, ChannelError, IncompleteRead)):
                fetch(ShardSources(Timeout(connect=20, channel=0.3), True), network._pointer(hash_of(BODY)))
        finally:
            network.left.set()
    assert time.monotonic() - began < 10


def test_a_farmer_of_the_earlier_form_that_sends_only_meaningless_messages_is_left() -> None:
    with Network(until_left(lambda shard: shard.connection.send(b"\x93\x03\xc0\x00")), earlier=True) as network:
        network.store(BODY, len(BODY))
        try:
            with pytest.raises(ChannelError, match="messages without end"):
                fetch(ShardSources(PATIENT, True), network._pointer(hash_of(BODY)))
        finally:
            network.left.set()


def test_a_handshake_that_trickles_in_is_a_url_error() -> None:
    def script(connection: Connection) -> None:
        connection.read_head()
        while not connection.server.closing.wait(0.02):
            connection.send(b"x")

    began = time.monotonic()
    with pytest.raises(URLError):
        fetched_from(script, Timeout(connect=0.3, channel=20))
    assert time.monotonic() - began < 10


def test_the_limit_is_on_silence_and_not_on_a_message() -> None:
    """The message takes twice the limit, but each piece comes in time."""
    pieces = cut(BODY[:30_000], 1000)

    def slowly(shard: Shard) -> None:
        shard.raw(b"\x82\x7e" + len(shard.body).to_bytes(2, "big"))
        for piece in pieces:
            shard.raw(piece)
            shard.network.left.wait(0.04)

    assert fetched(slowly, BODY[:30_000], Timeout(connect=20, channel=0.6)) == BODY[:30_000]


def test_fragments_of_a_message_are_progress_too() -> None:
    def slowly(shard: Shard) -> None:
        shard.raw(b"\x02\x01" + shard.body[:1])
        for at in range(1, 30):
            shard.raw(b"\x00\x01" + shard.body[at : at + 1])
            shard.network.left.wait(0.04)
        shard.raw(b"\x80\x00")

    assert fetched(slowly, BODY[:30], Timeout(connect=20, channel=0.6)) == BODY[:30]


# The earlier form


def earlier(*messages: bytes) -> Answer:
    def answer(shard: Shard) -> None:
        for message in messages:
            shard.connection.send(message)

    return answer


def test_a_shard_in_the_earlier_form_is_fetched() -> None:
    assert fetched(whole, earlier=True, timeout=CURT) == BODY


@pytest.mark.parametrize("junk", [b"\xc4", b"\x93\x02", b"\x05", b"\x92\x01\x02", b"\x00\x00", b"\xb3abc"])
def test_a_channel_that_speaks_neither_form_is_a_channel_error(junk: bytes) -> None:
    with pytest.raises(ChannelError, match="neither form"):
        fetched(earlier(junk), earlier=True, timeout=CURT)


def test_messages_of_the_earlier_form_that_mean_nothing_here_are_passed_over() -> None:
    pause, text, other = b"\x93\x03\xc0\x00", b"\x93\x02\xb1x\x00", b"\x93\x02\xc0\x00"
    answer = earlier(pause, text, other, b"\x93\x02\xa5hello\x00")
    assert fetched(answer, b"hello", earlier=True, timeout=CURT) == b"hello"


def test_a_close_without_an_answer_means_that_the_earlier_form_is_to_be_tried() -> None:
    with Network(earlier=True) as network:
        network.store(BODY, len(BODY))
        assert fetch(ShardSources(PATIENT, True), network._pointer(hash_of(BODY))) == BODY
        assert network.connections == 2


@pytest.mark.parametrize("earlier", [True, False])
def test_an_empty_shard_is_complete_without_any_bytes(earlier: bool) -> None:
    assert fetched(whole, b"", earlier=earlier) == b""


def test_a_farmer_that_closes_without_an_answer_in_both_forms_is_a_channel_error() -> None:
    with pytest.raises(ChannelError, match="closed the channel without an answer"):
        fetched(lambda shard: shard.send(b""))


def test_a_farmer_of_the_earlier_form_that_just_closes_is_a_channel_error() -> None:
    with pytest.raises(ChannelError, match="does not speak the protocol"):
        fetched(lambda shard: shard.connection.close(), earlier=True, timeout=CURT)


# Servers that are not farmers


def saying(data: bytes) -> Script:
    def script(connection: Connection) -> None:
        connection.read_head()
        connection.send(data)

    return script


def closing(connection: Connection) -> None:
    connection.read_head()


def silent(connection: Connection) -> None:
    connection.wait()


def accepting(connection: Connection, *data: bytes) -> None:
    request = connection.read_head()
    assert request is not None
    key = request.headers["sec-websocket-key"] + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
    accept = base64.b64encode(hashlib.sha1(key.encode()).digest()).decode()
    head = f"HTTP/1.1 101 X\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {accept}\r\n\r\n"
    connection.send(head.encode() + b"".join(data))


@pytest.mark.parametrize(
    ("script", "error"),
    [
        (saying(b"220 mail.example.com ESMTP\r\n\r\n"), BadStatusLine),
        (saying(b"\x00" * 100_000), (BadStatusLine, ChannelError)),
        (saying(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"), ChannelError),
        (saying(b"HTTP/1.1 101 X\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n"), ChannelError),
        (closing, RemoteDisconnected),
        (Connection.reset, URLError),
        (lambda connection: accepting(connection, b"\xff\xff\xff"), ChannelError),
        (lambda connection: accepting(connection, b"\x82\x85mask12345"), ChannelError),
        (lambda connection: accepting(connection, b"\x81\x01\xff"), ChannelError),
        (lambda connection: accepting(connection, b"\x80\x01x"), ChannelError),
        (lambda connection: accepting(connection, b"\x82\x7f\x00\x00\x00\xff\x00\x00\x00\x00"), ChannelError),
    ],
)
def test_a_server_that_is_not_a_farmer_is_a_documented_error(script: Script, error: Any) -> None:
    with pytest.raises(error) as caught:
        fetched_from(script)
    assert str(caught.value)


def test_a_reset_in_a_shard_is_a_connection_reset_error() -> None:
    got = threading.Event()

    class Telling(ShardBuffer):
        def add(self, piece: Body) -> None:
            got.set()

    def reset(connection: Connection) -> None:
        accepting(connection, b"\x82\x05hello")
        assert got.wait(20)
        connection.reset()

    with Server(reset) as server:
        pointer = {"hash": hash_of(BODY), "token": "t", "channel": f"ws://{HOST}:{server.port}"}
        with pytest.raises(ConnectionResetError):
            ShardSources(PATIENT, True).fetch(pointer, job(), Telling(config.MAX_SHARD_BYTES))


@pytest.mark.parametrize("seed", range(30))
def test_any_bytes_after_the_handshake_are_a_documented_error(seed: int) -> None:
    chance = random.Random(seed)
    noise = bytes([chance.choice([0x82, 0x81, 0x88, 0x02, chance.randrange(256)])]) + chance.randbytes(500)
    with pytest.raises((ChannelError, IntegrityError, IncompleteRead, OSError)):
        fetched_from(lambda connection: accepting(connection, noise), CURT)


def test_a_server_that_accepts_and_says_nothing_is_a_url_error() -> None:
    with pytest.raises(URLError) as caught:
        fetched_from(silent, Timeout(connect=0.05, channel=20))
    assert isinstance(caught.value.reason, TimeoutError)


@pytest.mark.parametrize("channel", ["http://h/", "ws://", "ws://h:port", "ws://[::1", "ws://h/#x", "", "ws://u@h/"])
def test_a_wrong_channel_is_a_channel_error(channel: str) -> None:
    pointer = {"hash": "0" * 40, "token": "t", "channel": channel}
    with pytest.raises(ChannelError, match="a pointer to no channel"):
        fetch(ShardSources(PATIENT, True), pointer)


@pytest.mark.parametrize("channel", ["ws://nowhere.invalid/", "ws://" + "x" * 70 + ".invalid/", "ws://a..b/"])
def test_a_wrong_host_is_a_url_error(channel: str) -> None:
    pointer = {"hash": "0" * 40, "token": "t", "channel": channel}
    with pytest.raises(URLError):
        fetch(ShardSources(PATIENT, True), pointer)


@pytest.mark.parametrize("name", ["hash", "token", "channel"])
def test_a_pointer_that_lacks_something_is_a_channel_error(name: str) -> None:
    pointer = {"hash": "0" * 40, "token": "t", "channel": "ws://h", name: None}
    with pytest.raises(ChannelError, match=f"a pointer without {name}"):
        fetch(ShardSources(PATIENT, True), pointer)


def test_tokens_are_in_no_log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    logging.getLogger("websockets.client").setLevel(logging.DEBUG)
    with Network() as network:
        network.store(BODY, len(BODY))
        pointer = network._pointer(hash_of(BODY))
        caplog.clear()
        fetch(ShardSources(PATIENT, True), pointer)
    ours = [record for record in caplog.records if record.name != "websockets.server"]
    assert not any(pointer["token"] in record.getMessage() for record in ours)


def test_without_a_context_the_certificates_of_the_bridge_count(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from ..hostile import authority_pem

    (tmp_path / "ca.pem").write_bytes(authority_pem())
    with Network(tls=ssl.TLSVersion.TLSv1_3) as network:
        network.store(BODY, len(BODY))
        with pytest.raises(URLError) as caught:
            fetch(ShardSources(PATIENT, True), network._pointer(hash_of(BODY)))
        assert isinstance(caught.value.reason, ssl.SSLCertVerificationError)
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
        assert fetch(ShardSources(PATIENT, True), network._pointer(hash_of(BODY))) == BODY


def test_without_verification_a_certificate_of_anybody_counts() -> None:
    with Network(tls=ssl.TLSVersion.TLSv1_3) as network:
        network.store(BODY, len(BODY))
        assert fetch(ShardSources(PATIENT, False), network._pointer(hash_of(BODY))) == BODY


@pytest.mark.parametrize(
    ("version", "restless"),
    [(ssl.TLSVersion.TLSv1_2, False), (ssl.TLSVersion.TLSv1_3, False), (ssl.TLSVersion.TLSv1_3, True)],
    ids=["TLS 1.2", "TLS 1.3", "TLS 1.3 with new tickets and new keys"],
)
@pytest.mark.parametrize("earlier", [False, True])
def test_a_shard_comes_over_each_version_of_tls(version: ssl.TLSVersion, restless: bool, earlier: bool) -> None:
    body = random.Random(3).randbytes(3_000_001)
    assert fetched(whole, body, tls=version, restless=restless, earlier=earlier) == body


def test_no_limit_on_silence_is_no_limit() -> None:
    enough = threading.Event()
    threading.Timer(0.1, enough.set).start()

    def late(shard: Shard) -> None:
        assert enough.wait(20)
        shard.send(shard.body)

    assert fetched(late, timeout=Timeout(connect=None, channel=None)) == BODY
