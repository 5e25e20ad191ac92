"""A shard by plain HTTP: from honest stores, and from others."""

from __future__ import annotations

import logging
import random
import threading
import time
from concurrent.futures import CancelledError
from http.client import BadStatusLine, IncompleteRead
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from pymdc import Client, Timeout, config, unwrap
from pymdc.core.job import Job
from pymdc.errors import ChannelError
from pymdc.transfers.direct import DirectDownloads
from pymdc.transfers.shards import ShardBuffer

from ..bridges import running_bridge
from ..engines import shared_s3
from ..farmers import Network, names_in
from ..hostile import Connection, Script, Server, client_context, refusing_port, relay, reply_bytes, server_context

BODY = random.Random(3).randbytes(300_001)
PATIENT = Timeout(connect=20, channel=20)
CURT = Timeout(connect=20, channel=0.2)
TARGET = "/shards/some?token=a-secret"


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(config, "POLL_SECONDS", 0.02)


def fetched(*scripts: Script, timeout: Timeout = PATIENT, most: int = 2**26, tls: bool = False) -> tuple[bytes, Server]:
    buffer = ShardBuffer(most)
    with Server(*scripts, context=server_context() if tls else None) as server:
        DirectDownloads(timeout, client_context()).fetch(server.url + TARGET, job(), buffer)
    return bytes(buffer.whole()), server


def job() -> Job:
    return Job(lambda function: None)


def giving(data: bytes = BODY, status: int = 200, length: int | None = None, **headers: str) -> Script:
    """Answer with these bytes, and close."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}

    def script(connection: Connection) -> None:
        connection.read_head()
        lines = [f"HTTP/1.1 {status} X", f"Content-Length: {len(BODY) if length is None else length}"]
        lines += [f"{name}: {value}" for name, value in named.items()]
        connection.send("\r\n".join([*lines, "", ""]).encode() + data)
        connection.sock.close()

    return script


@pytest.mark.parametrize("tls", [False, True])
def test_a_shard_is_asked_for_without_credentials(tls: bool) -> None:
    body, server = fetched(giving(), tls=tls)
    assert body == BODY
    (request,) = server.requests
    assert (request.method, request.target) == ("GET", TARGET)
    assert set(request.headers) == {"host", "accept-encoding", "connection"}


def test_an_empty_shard_is_complete() -> None:
    assert fetched(giving(b"", length=0))[0] == b""


def test_a_shard_that_breaks_off_goes_on_where_it_was() -> None:
    rest = giving(BODY[200_000:], 206, len(BODY) - 200_000, Content_Range=f"bytes 200000-300000/{len(BODY)}")
    body, server = fetched(giving(BODY[:200_000]), rest)
    assert body == BODY
    assert [request.headers.get("range") for request in server.requests] == [None, "bytes=200000-"]


def test_a_store_that_knows_no_ranges_gives_the_shard_anew() -> None:
    assert fetched(giving(BODY[:200_000]), giving())[0] == BODY


def test_a_shard_that_breaks_off_time_and_again_is_an_incomplete_read() -> None:
    with pytest.raises(IncompleteRead):
        fetched(giving(BODY[:1]), giving(BODY[:2]), giving(BODY[:3]))
    with pytest.raises(IncompleteRead):
        fetched(giving(b""))


@pytest.mark.parametrize(
    ("script", "words"),
    [
        (giving(b"", 302, 0, Location="http://127.0.0.1:1/"), "answered 302"),
        (giving(b"no", 403, 2), "answered 403"),
        (giving(BODY, 206), "answered 206"),
        (giving(BODY, 206, Content_Range="bytes 5-300000/300001"), "answered 206"),
        (giving(length=-1), "does not say how long"),
        (giving(Transfer_Encoding="chunked"), "does not say how long"),
        (giving(length=10**9), "more than 400000 bytes"),
    ],
)
def test_bytes_that_are_not_the_shard_are_a_channel_error(script: Script, words: str) -> None:
    with pytest.raises(ChannelError, match=words) as caught:
        fetched(script, most=400_000)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("data", [b"", b"220 mail\r\n\r\n", b"x" * 400_000, b"HTTP/1.1 two\r\n\r\n"])
def test_a_reply_that_is_not_http_is_a_bad_status_line(data: bytes) -> None:
    def script(connection: Connection) -> None:
        connection.read_head()
        connection.send(data)
        connection.sock.close()

    with pytest.raises((BadStatusLine, ConnectionError)):
        fetched(script)


def test_bytes_beyond_the_shard_are_not_taken() -> None:
    assert fetched(giving(b"first and more", length=5))[0] == b"first"


@pytest.mark.parametrize("at", [0, 50, 200])
def test_a_store_that_falls_silent_is_a_timeout_error(at: int) -> None:
    reply = reply_bytes(200, BODY)

    def script(connection: Connection) -> None:
        connection.read_head()
        connection.send(reply[:at])
        connection.wait()

    with pytest.raises(TimeoutError):
        fetched(script, timeout=CURT)


def test_a_head_that_trickles_in_is_a_timeout_error() -> None:
    def script(connection: Connection) -> None:
        connection.read_head()
        while not connection.server.closing.wait(0.05):
            connection.send(b"x")

    began = time.monotonic()
    with pytest.raises((TimeoutError, BadStatusLine)):
        fetched(script, timeout=CURT)
    assert time.monotonic() - began < 5


@pytest.mark.parametrize(
    "url",
    [
        "",
        "ftp://h/",
        "http://",
        "http://h:x/",
        "http://u:p@h/",
        "http://[::1",
        "http://h/a b",
        "http://h/\r\nx",
        "//h/",
    ],
)
def test_a_wrong_url_is_a_channel_error(url: str) -> None:
    with pytest.raises(ChannelError, match="a malformed URL"):
        DirectDownloads(PATIENT, True).fetch(url, job(), ShardBuffer(10))


def test_a_url_without_a_path_is_accepted() -> None:
    with refusing_port() as port, pytest.raises(ConnectionRefusedError):
        DirectDownloads(PATIENT, True).fetch(f"http://127.0.0.1:{port}", job(), ShardBuffer(10))


def test_without_a_context_the_systems_certificates_count() -> None:
    with (
        Server(giving(), context=server_context()) as server,
        pytest.raises(OSError, match="CERTIFICATE_VERIFY_FAILED"),
    ):
        DirectDownloads(PATIENT, True).fetch(server.url + TARGET, job(), ShardBuffer(2**20))


def test_a_cancelled_direct_download_ends_at_once() -> None:
    ours, begun = job(), threading.Event()

    def script(connection: Connection) -> None:
        connection.read_head()
        ours.cancel()
        begun.set()
        connection.wait()

    with Server(script) as server, pytest.raises(CancelledError):
        DirectDownloads(PATIENT, True).fetch(server.url + TARGET, ours, ShardBuffer(2**20))
    assert begun.is_set()


# In a download


class DirectNetwork(Network):
    """A bridge that gives URLs, and a store.

    Attributes:
        script: what the store does. Default: it sends the requested bytes.
    """

    script: Script | None = None

    def __enter__(self) -> DirectNetwork:
        super().__enter__()
        self.store_server = self._stack.enter_context(Server(self._give))
        return self

    def _give(self, connection: Connection) -> None:
        if self.script is not None:
            self.script(connection)
            return
        while (request := connection.read_head()) is not None:
            body = self.shards[request.path[1:]]
            start = int(request.headers.get("range", "bytes=0-")[6:-1])
            status, more = (
                (206, {"Content-Range": f"bytes {start}-{len(body) - 1}/{len(body)}"}) if start else (200, {})
            )
            connection.send(reply_bytes(status, body[start:], **more))

    def _pointer(self, shard: str) -> dict[str, str]:
        return {**super()._pointer(shard), "url": f"{self.store_server.url}/{shard}?token=a-secret"}


def test_a_download_prefers_the_direct_way(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    with DirectNetwork() as network:
        file_hash = network.store(BODY, 100_000)
        assert network.bucket().download(file_hash, path=tmp_path / "x")["size"] == len(BODY)
        assert network.asked == []
        assert [request.headers.get("x-direct") for request in network.bridge_asked] == [None, None, "1"]
        assert all("x-token" not in request.headers for request in network.store_server.requests)
    assert (tmp_path / "x").read_bytes() == BODY
    assert names_in(tmp_path) == ["x"]
    assert "a-secret" not in caplog.text


@pytest.mark.parametrize(
    "script",
    [
        giving(b"", 302, 0, Location="http://127.0.0.1:1/"),
        giving(b"gone", 404, 4),
        giving(b"other content", length=13),
        giving(BODY[:10]),
        Connection.reset,
        Connection.wait,
    ],
)
def test_if_the_direct_way_fails_the_channel_is_used(script: Any) -> None:
    with DirectNetwork(timeout=Timeout(connect=20, read=20, write=20, pool=20, transfer=20, channel=0.3)) as network:
        network.script = script
        assert network.bucket().download(network.store(BODY, 100_000)) == BODY
        assert len(network.asked) == 4


@pytest.mark.parametrize("url", [None, 5, "", "nonsense", "file:///etc/passwd"])
def test_if_a_url_is_wrong_the_channel_is_used(url: Any) -> None:
    with DirectNetwork() as network:
        file_hash = network.store(BODY)
        make = network._pointer
        network._pointer = lambda shard: {**make(shard), "url": url}  # type: ignore[method-assign]
        assert network.bucket().download(file_hash) == BODY
        assert network.store_server.requests == []


def test_a_direct_download_goes_through_the_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    with Server(giving()) as server, Server(relay) as proxy:
        monkeypatch.setenv("http_proxy", proxy.url)
        buffer = ShardBuffer(2**20)
        DirectDownloads(PATIENT, True).fetch(server.url + TARGET, job(), buffer)
        assert bytes(buffer.whole()) == BODY
        assert [request.method for request in proxy.requests] == ["CONNECT"]


def test_an_interrupted_direct_download_is_cancelled_and_not_tried_by_the_channel() -> None:
    with DirectNetwork() as network:
        asked = threading.Event()

        def script(connection: Connection) -> None:
            connection.read_head()
            asked.set()
            connection.wait()

        network.script = script
        handle = network.bucket().download(network.store(BODY), callback=lambda value: None)
        assert asked.wait(20)
        assert handle.cancel()
        assert isinstance(handle.result(20), CancelledError)
        assert network.asked == []


@pytest.mark.skipif(find_spec("nanio") is None, reason="needs the S3 server nanio, which is for Python 3.11 and later")
def test_a_file_of_a_bridge_on_s3_comes_straight_from_there_by_presigned_urls(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A proxy in between sees who is asked for the shards: the S3 server, and no data channel."""
    content = random.Random(4).randbytes(17 * 2**20)
    store = shared_s3()
    with running_bridge(tmp_path / "bridge", store=store.create("presigned")) as bridge, Client(bridge.url) as client:
        files = bridge.bucket(client).files
        stored = unwrap(files.upload(content, name="film"))
        with Server(relay) as proxy:
            monkeypatch.setenv("http_proxy", proxy.url)
            assert unwrap(files.download(stored, path=tmp_path / "film"))["size"] == len(content)
            assert {request.target for request in proxy.requests} == {f"127.0.0.1:{store.port}"}
            assert len(proxy.requests) == 3
    assert (tmp_path / "film").read_bytes() == content
    assert names_in(tmp_path) == ["bridge", "film"]
