"""Files of any size, kind and name go up to a real bridge and come down whole."""

from __future__ import annotations

import hashlib
import io
import os
import queue
import random
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pymdc import Client, Timeout
from pymdc.api import Bucket, Files
from pymdc.core.job import Job
from pymdc.errors import unwrap
from pymdc.transfers.access import Access
from pymdc.transfers.direct import DirectDownloads
from pymdc.transfers.names import safe_name
from pymdc.transfers.shards import ShardBuffer

from ..bridges import RunningBridge, running_bridge
from ..farmers import hash_of, names_in
from ..hostile import Connection, Server, client_context, full_backlog, relay, server_context

MIB = 2**20
SHARD = 8 * MIB
LONG = 60.0


@pytest.fixture(scope="module")
def bucket(bridge: RunningBridge, client: Client) -> Bucket:
    return bridge.bucket(client)


@pytest.fixture(scope="module")
def files(bucket: Bucket) -> Files:
    return bucket.files


@pytest.mark.parametrize("size", [0, 1, SHARD - 1, SHARD, SHARD + 1, 2 * SHARD])
def test_a_file_of_any_size_goes_up_and_comes_down_whole(files: Files, size: int, tmp_path: Path) -> None:
    data = random.Random(size).randbytes(size)
    (tmp_path / "up").write_bytes(data)
    stored = unwrap(files.upload(tmp_path / "up"))
    assert (stored["size"], stored["hash"], stored["filename"]) == (size, hash_of(data), "up")
    assert len(unwrap(files.pointers(stored, unwrap(files.token("PULL"))))) == -(-size // SHARD)
    assert files.download(stored) == data
    value = unwrap(files.download(stored["hash"], unwrap(files.token("PULL")), path=tmp_path / "down"))
    assert value == {**stored, "path": str(tmp_path / "down")}
    assert (tmp_path / "down").read_bytes() == data
    assert names_in(tmp_path) == ["down", "up"]


@contextmanager
def opened_at(path: Path, position: int) -> Iterator[Any]:
    with path.open("rb") as file:
        file.seek(position)
        yield file


@contextmanager
def given_as(value: Any) -> Iterator[Any]:
    yield value


SOURCES: dict[str, tuple[Callable[[Path], Any], int]] = {
    "a path as text": (lambda path: given_as(str(path)), 0),
    "a path": (lambda path: given_as(path), 0),
    "an open file": (lambda path: opened_at(path, 0), 0),
    "an open file at a position": (lambda path: opened_at(path, 1234), 1234),
    "a file of memory": (lambda path: given_as(io.BytesIO(path.read_bytes())), 0),
    "bytes": (lambda path: given_as(path.read_bytes()), 0),
    "a bytearray": (lambda path: given_as(bytearray(path.read_bytes())), 0),
    "a view": (lambda path: given_as(memoryview(path.read_bytes())), 0),
}


@pytest.mark.parametrize("source", SOURCES)
def test_every_kind_of_source_is_stored_as_it_reads(files: Files, source: str, tmp_path: Path) -> None:
    data = os.urandom(700_000)
    (tmp_path / "up.png").write_bytes(data)
    make, start = SOURCES[source]
    with make(tmp_path / "up.png") as given:
        stored = unwrap(files.upload(given, unwrap(files.token("PUSH")), name="n.txt", mimetype="x/y"))
    assert stored["hash"] == hash_of(data[start:])
    assert (stored["filename"], stored["mimetype"]) == ("n.txt", "x/y")
    assert files.download(stored) == data[start:]


names = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=60)
spiky = st.text(st.sampled_from("/\\\"'\r\n\t;=%. \u202eé漢😀a"), min_size=1, max_size=20)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(name=names | spiky, data=st.binary(max_size=40))
def test_a_file_of_any_name_goes_up_and_comes_down_into_its_folder(
    files: Files, name: str, data: bytes, tmp_path: Path
) -> None:
    stored = unwrap(files.upload(data, name=name))
    sent = "".join(f"%{ord(each):02X}" if each < " " or each == "\x7f" else each for each in name)
    assert stored["filename"] == as_stored(sent) or stored["hash"]
    value = unwrap(files.download(stored, path=tmp_path))
    assert Path(value["path"]).parent == tmp_path
    assert Path(value["path"]).name == safe_name(stored["filename"], stored["hash"])
    assert Path(value["path"]).read_bytes() == data
    Path(value["path"]).unlink()
    assert names_in(tmp_path) == []


def as_stored(name: str) -> str:
    """Return the name that the bridge keeps: the last part."""
    return name.replace("\\", "/").rpartition("/")[2]


@pytest.mark.parametrize("name", ["two words 漢字.txt", 'say "hi".txt', "semi;colon=x", "it's é😀", "%41", "a.b.c"])
def test_a_name_without_folders_comes_back_unchanged(files: Files, name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_bytes(name.encode())
    stored = unwrap(files.upload(path))
    assert stored["filename"] == name
    path.unlink()
    unwrap(files.download(stored, path=tmp_path))
    assert names_in(tmp_path) == [safe_name(name, "")]


def test_a_shard_comes_directly_from_the_bridge_and_goes_on_in_its_middle(tmp_path: Path) -> None:
    data = os.urandom(300_000)
    with running_bridge(tmp_path, store=None) as bridge, Client(bridge.url) as client:
        files = bridge.bucket(client).files
        stored, token = unwrap(files.upload(data)), unwrap(files.token("PULL"))["token"]
        headers = {"x-direct": "1"}
        call = Access(files.bucket_id, None).call("GET", "files", stored["hash"], token=token, headers=headers)
        (pointer,) = unwrap(client.call(call, None))
        buffer, whole = ShardBuffer(2 * len(data)), relay_to(pointer["url"])
        with Server(lambda connection: cut_off(connection, data[:100_000], len(data)), whole) as between:
            url = urlsplit(pointer["url"])
            ours = url._replace(netloc=f"127.0.0.1:{between.port}").geturl()
            DirectDownloads(Timeout(), True).fetch(ours, Job(lambda function: None), buffer)
            assert between.requests[0].headers.get("range") is None
    assert bytes(buffer.whole()) == data
    buffer.check(pointer["hash"])


def cut_off(connection: Connection, data: bytes, length: int) -> None:
    connection.read_head()
    connection.send(f"HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n".encode() + data)
    connection.sock.close()


def relay_to(url: str) -> Callable[[Connection], None]:
    """Pass a connection on to the server of a URL, byte for byte."""

    def script(connection: Connection) -> None:
        parts = urlsplit(url)
        with socket.create_connection((parts.hostname or "", parts.port or 80)) as there:
            there.sendall(connection.sock.recv(1 << 16))
            while data := there.recv(1 << 16):
                connection.send(data)
        connection.sock.close()

    return script


def test_a_deleted_file_is_gone(files: Files) -> None:
    stored = unwrap(files.upload(os.urandom(100)))
    assert files.delete(stored) == ""
    assert stored["hash"] not in [entry["hash"] for entry in unwrap(files.list())]
    assert files.download(stored) == {"error": "The requested file was not found"}
    value: Any = files.delete(stored["hash"])
    assert "error" in value


def test_a_spent_token_is_a_refusal(files: Files) -> None:
    stored, token = unwrap(files.upload(b"x")), unwrap(files.token("PULL"))
    assert files.download(stored, token) == b"x"
    assert files.download(stored, token) == {"error": "Invalid or expired token"}


def test_a_download_with_a_token_alone_needs_no_credentials(files: Files, client: Client, tmp_path: Path) -> None:
    data = os.urandom(100_000)
    stored, token = unwrap(files.upload(data)), unwrap(files.token("PULL"))
    value = unwrap(Files(files.bucket_id, None, client=client).download(stored["hash"], token, path=tmp_path))
    assert (tmp_path / stored["hash"]).read_bytes() == data
    assert value["size"] == len(data)


def many(files: Files, count: int, largest: int, folder: Path) -> None:
    """Upload and download so many files by callbacks; each download is begun by the callback of its upload."""
    chance = random.Random(count)
    done: queue.Queue[Any] = queue.Queue()

    def begin(number: int) -> None:
        size = int(largest ** chance.random()) if number % 20 else largest
        data = number.to_bytes(4, "big") + random.Random(number).randbytes(max(size - 4, 0))
        path = folder / f"up-{number}"
        path.write_bytes(data)
        files.upload(path, callback=lambda stored: uploaded(number, path, data, stored))

    def uploaded(number: int, path: Path, data: bytes, stored: Any) -> None:
        path.unlink()
        if isinstance(stored, BaseException) or "error" in stored or stored["hash"] != hash_of(data):
            done.put(stored)
            return
        target = folder / f"down-{number}"
        digest = hashlib.sha256(data).digest()
        files.download(stored, path=target, callback=lambda value: downloaded(target, digest, value))

    def downloaded(target: Path, digest: bytes, value: Any) -> None:
        if isinstance(value, dict) and "error" not in value:
            value = hashlib.sha256(target.read_bytes()).digest() == digest
            target.unlink()
        done.put(value)

    for number in range(min(count, 32)):
        begin(number)
    for number in range(count):
        assert done.get(timeout=LONG) is True
        if number + 32 < count:
            begin(number + 32)
    assert names_in(folder) == []


def test_sixty_files_go_up_and_down_in_callbacks_at_once(files: Files, tmp_path: Path) -> None:
    many(files, 60, MIB, tmp_path)


@pytest.mark.slow
@pytest.mark.skipif("PYMDC_LARGE" not in os.environ, reason="takes minutes; set PYMDC_LARGE")
def test_a_thousand_files_go_up_and_down_in_callbacks_sixteen_at_a_time(files: Files, tmp_path: Path) -> None:
    many(files, 1000, 20 * MIB, tmp_path)


# Progress and cancelling


def test_progress_comes_by_way_of_the_scheduler(bridge: RunningBridge, files: Files, tmp_path: Path) -> None:
    waiting: queue.Queue[Callable[[], None]] = queue.Queue()
    here = threading.get_ident()
    reports: list[tuple[int, int, int | None]] = []
    values: list[Any] = []

    def progress(done: int, total: int | None) -> None:
        reports.append((threading.get_ident(), done, total))

    with Client(bridge.url, scheduler=waiting.put) as client:
        scheduled = Files(files.bucket_id, files.key_pair, client=client)
        data = os.urandom(3 * MIB)
        scheduled.upload(data, callback=values.append, progress=progress)
        while not values:
            waiting.get(timeout=LONG)()
        assert {thread for thread, _, _ in reports} == {here}
        assert reports[-1] == (here, len(data), len(data))
        reports.clear()
        scheduled.download(values.pop(), callback=values.append, progress=progress, path=tmp_path / "x")
        while not values:
            waiting.get(timeout=LONG)()
        assert {thread for thread, _, _ in reports} == {here}
        assert reports[-1] == (here, len(data), len(data))
    assert (tmp_path / "x").read_bytes() == data


def test_an_exception_of_a_progress_callback_is_reported_and_harms_nothing(
    files: Files, monkeypatch: pytest.MonkeyPatch
) -> None:
    reported: list[Any] = []
    monkeypatch.setattr(threading, "excepthook", reported.append)
    stored = unwrap(files.upload(b"some bytes", progress=lambda done, total: 1 // 0))
    assert files.download(stored, progress=lambda done, total: 1 // 0) == b"some bytes"
    assert {each.exc_type for each in reported} == {ZeroDivisionError}


def reading_nothing(connection: Connection) -> None:
    connection.read_head()
    connection.server.reached.set()  # type: ignore[attr-defined]
    connection.wait()


@pytest.mark.parametrize("context", [None, server_context()])
def test_a_cancelled_upload_ends_within_a_second(context: ssl.SSLContext | None, tmp_path: Path) -> None:
    path = tmp_path / "up"
    path.touch()
    os.truncate(path, 200 * MIB)
    values: list[Any] = []
    with Server(reading_nothing, context=context) as server, Client(server.url, verify=client_context()) as client:
        server.reached = threading.Event()  # type: ignore[attr-defined]
        handle = Files("id", None, client=client).upload(path, "token", values.append)
        assert server.reached.wait(LONG)  # type: ignore[attr-defined]
        began = time.monotonic()
        assert handle.cancel() is True
        handle.join(LONG)
        assert time.monotonic() - began < 1
        assert [type(value) for value in values] == [CancelledError]


@pytest.mark.parametrize("context", [None, server_context()])
def test_an_upload_whose_last_byte_was_sent_cannot_be_cancelled_any_more(context: ssl.SSLContext | None) -> None:
    """The bridge may have stored it: what it says is the value."""
    sent, cancelled = threading.Event(), threading.Event()

    def answering_late(connection: Connection) -> None:
        connection.read_request()
        sent.set()
        assert cancelled.wait(LONG)
        connection.reply(200, '{"size": 5}')

    with Server(answering_late, context=context) as server, Client(server.url, verify=client_context()) as client:
        handle = Files("id", None, client=client).upload(b"bytes", "token", lambda value: None)
        assert sent.wait(LONG)
        assert handle.cancel() is False
        cancelled.set()
        assert handle.result(LONG) == {"size": 5}


def test_a_call_is_cancelled_while_it_connects_to_nowhere() -> None:
    with full_backlog() as port, Client(f"http://127.0.0.1:{port}", timeout=Timeout(connect=LONG)) as client:
        handle = Files("id", None, client=client).upload(b"x", "token", lambda value: None)
        threading.Timer(0.1, handle.cancel).start()
        began = time.monotonic()
        assert isinstance(handle.result(LONG), CancelledError)
        assert time.monotonic() - began < 1.5


def test_a_download_goes_through_a_proxy(bridge: RunningBridge, files: Files, monkeypatch: pytest.MonkeyPatch) -> None:
    data = os.urandom(100_000)
    stored = unwrap(files.upload(data))
    with Server(relay) as proxy:
        monkeypatch.setenv("http_proxy", proxy.url)
        with Client(bridge.url) as client:
            assert Files(files.bucket_id, files.key_pair, client=client).download(stored) == data
        assert "CONNECT" in {request.method for request in proxy.requests}
