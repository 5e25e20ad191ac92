"""Whether the client of a connection reads; whether it has closed it, with `select.poll` and without, as on Windows."""

from __future__ import annotations

import asyncio
import select
import socket
import struct
import sys
from collections.abc import Iterator

import pytest

from pymdc.bridge import peers
from pymdc.bridge.peers import Reader, has_closed


@pytest.fixture(params=["poll", "no poll"])
def ours_and_theirs(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[socket.socket]]:
    """The two ends of a connection: the bridge's, and its client's."""
    if request.param == "no poll":
        monkeypatch.delattr(select, "poll", raising=False)
    with socket.create_server(("127.0.0.1", 0)) as listener, socket.create_connection(listener.getsockname()) as theirs:
        ours, _ = listener.accept()
        with ours:
            ours.setblocking(False)
            yield [ours, theirs]


def test_an_open_connection_is_not_closed(ours_and_theirs: list[socket.socket]) -> None:
    ours, theirs = ours_and_theirs
    assert not has_closed(ours)
    theirs.sendall(b"unread")
    select.select([ours], [], [], 20)
    assert not has_closed(ours)
    assert ours.recv(100) == b"unread", "looking takes nothing"


def test_a_connection_that_its_client_closed_is_closed(ours_and_theirs: list[socket.socket]) -> None:
    ours, theirs = ours_and_theirs
    theirs.close()
    select.select([ours], [], [], 20)
    assert has_closed(ours)


def test_a_connection_that_its_client_reset_is_closed(ours_and_theirs: list[socket.socket]) -> None:
    ours, theirs = ours_and_theirs
    theirs.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    theirs.close()
    select.select([ours], [], [], 20)
    assert has_closed(ours)


@pytest.mark.parametrize("platform", ["linux", "darwin"])
def test_a_client_that_reads_nothing_is_reset_on_each_system(monkeypatch: pytest.MonkeyPatch, platform: str) -> None:
    monkeypatch.setattr(sys, "platform", platform)
    monkeypatch.setattr(peers, "SEND_SECONDS", 0.1)

    async def serve(listener: socket.socket, theirs: socket.socket) -> bool:
        loop = asyncio.get_running_loop()
        ours, _ = await loop.sock_accept(listener)
        transport, _ = await loop.connect_accepted_socket(asyncio.Protocol, ours)
        reader = Reader(transport, loop)
        transport.write(bytes(16 << 20))
        reader.is_slow()
        watched = select.poll()
        watched.register(theirs, select.POLLHUP | select.POLLERR)
        return bool(await loop.run_in_executor(None, watched.poll, 20_000))

    with socket.create_server(("127.0.0.1", 0)) as listener, socket.create_connection(listener.getsockname()) as theirs:
        listener.setblocking(False)
        assert asyncio.run(serve(listener, theirs))


def test_a_connection_that_is_closed_already_can_be_watched() -> None:
    async def serve(listener: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        ours, _ = await loop.sock_accept(listener)
        transport, _ = await loop.connect_accepted_socket(asyncio.Protocol, ours)
        reader = Reader(transport, loop)
        transport.abort()
        await asyncio.sleep(0)
        assert ours.fileno() < 0
        reader.has_the_last()
        reader.is_gone()

    with socket.create_server(("127.0.0.1", 0)) as listener, socket.create_connection(listener.getsockname()):
        listener.setblocking(False)
        asyncio.run(serve(listener))
