"""Uploads: a source that fails, a bridge that refuses, and the moment after which they cannot be cancelled."""

from __future__ import annotations

import io
import os
import threading
from collections.abc import Iterator
from concurrent.futures import CancelledError
from pathlib import Path
from typing import Any

import pytest

from pymdc import Client, config
from pymdc.api import Files

from ..farmers import PAIR
from ..hostile import Connection, Server

MIB = 2**20
LONG = 60.0


def storing(connection: Connection) -> None:
    """Answer each request as if all went well. It follows no recording: of a reply it gives what the client reads."""
    while (request := connection.read_request()) is not None:
        connection.reply(200, '{"token": "t"}' if request.method == "POST" else '{"size": 5}')


@pytest.fixture
def server() -> Iterator[Server]:
    with Server(storing) as running:
        yield running


@pytest.fixture
def files(server: Server) -> Iterator[Files]:
    with Client(server.url) as client:
        yield Files("id", PAIR, client=client)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes with names here")
def test_a_pipe_is_refused_before_a_token_is_asked_for(files: Files, server: Server, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    assert "not a regular file" in str(files.upload(tmp_path / "pipe"))
    read, write = os.pipe()
    os.close(write)
    with open(read, "rb") as pipe:  # noqa: PTH123 - a descriptor
        assert isinstance(files.upload(pipe), OSError)
    assert server.requests == []


class Source(io.BytesIO):
    """A file object of a program's own, with something to do at its second piece."""

    def __init__(self, content: bytes, then: Any) -> None:
        super().__init__(content)
        self._then = then
        self._reads = 0

    def read(self, size: int | None = -1) -> Any:
        self._reads += 1
        return self._then(super().read(size)) if self._reads == 2 else super().read(size)


def raising(data: bytes) -> bytes:
    raise RuntimeError("out of order")


@pytest.mark.parametrize(
    ("then", "kind", "words"),
    [
        (raising, RuntimeError, "out of order"),
        (lambda data: "text", TypeError, "must return bytes"),
        (lambda data: None, OSError, "shorter"),
        (lambda data: b"", OSError, "shorter"),
        (lambda data: data + b"more", OSError, "more bytes than it was asked for"),
    ],
)
def test_an_error_of_a_file_object_is_the_value(files: Files, then: Any, kind: type[Exception], words: str) -> None:
    value = files.upload(Source(bytes(MIB), then), "t")
    assert type(value) is kind
    assert words in str(value)
    following: Any = files.upload(b"the next one", "t")
    assert following == {"size": 5}


@pytest.mark.parametrize("how", ["longer", "shorter", "other content"])
def test_a_file_that_changes_while_it_is_sent_is_an_os_error(
    how: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "up"
    path.write_bytes(bytes(50 * MIB))
    begun, changed = threading.Event(), threading.Event()

    def reading_late(connection: Connection) -> None:
        connection.read_head()
        begun.set()
        assert changed.wait(LONG)
        while connection.sock.recv(1 << 20):
            pass

    with Server(reading_late) as server, Client(server.url) as client:
        handle = Files("id", None, client=client).upload(path, "t", lambda value: None)
        assert begun.wait(LONG)
        if how == "other content":
            with path.open("r+b") as file:
                file.write(b"x")
        else:
            os.truncate(path, MIB if how == "shorter" else 51 * MIB)
        os.utime(path, (1, 1))
        changed.set()
        value = handle.result(LONG)
    assert type(value) is OSError
    assert "while it was sent" in str(value)


@pytest.mark.parametrize("given", ["a-token", None])
def test_a_refused_token_is_the_value(given: str | None) -> None:
    refusal = {"error": "Invalid or expired token"}

    def refusing(connection: Connection) -> None:
        while (request := connection.read_request()) is not None:
            refuse = request.method == "PUT" or given is None
            connection.reply(401, '{"error": "Invalid or expired token"}' if refuse else '{"token": "t"}')

    with Server(refusing) as server, Client(server.url) as client:
        assert Files("id", PAIR, client=client).upload(bytes(MIB), given) == refusal
        assert len(server.requests) == 1


def test_an_upload_that_is_cancelled_before_its_last_byte_does_not_send_it(server: Server) -> None:
    """The cancelling comes from the last report before the end."""
    with Client(server.url) as client:
        told = threading.Event()

        def progress(done: int, total: int | None) -> None:
            if not told.is_set():
                assert ready.wait(LONG)
                assert handle.cancel()
                told.set()

        ready = threading.Event()
        handle = Files("id", None, client=client).upload(bytes(MIB), "t", lambda value: None, progress=progress)
        ready.set()
        assert isinstance(handle.result(LONG), CancelledError)
    assert server.requests == []


def test_a_progress_that_raises_harms_nothing(files: Files, monkeypatch: pytest.MonkeyPatch) -> None:
    reported: list[Any] = []
    monkeypatch.setattr(threading, "excepthook", reported.append)
    value: Any = files.upload(bytes(config.CHUNK_BYTES), "t", progress=lambda done, total: 1 // 0)
    assert value == {"size": 5}
    assert {each.exc_type for each in reported} == {ZeroDivisionError}


@pytest.mark.parametrize("cancel", [True, False])
def test_progress_may_close_the_client_and_the_upload_goes_on(cancel: bool) -> None:
    closed = threading.Event()

    def storing_to_the_end(connection: Connection) -> None:
        storing(connection)
        closed.set()

    with Server(storing_to_the_end) as server:
        one = Client(server.url)
        told: list[int] = []

        def progress(done: int, total: int | None) -> None:
            told.append(done)
            one.close(cancel=cancel)

        value: Any = Files("id", PAIR, client=one).upload(bytes(4 * MIB), progress=progress)
        assert value == {"size": 5}
        assert len(told) > 1
        assert closed.wait(LONG)  # the last call that used the connections has closed them
