"""Whether the client of a connection has closed it, with `select.poll` and without, as on Windows."""

from __future__ import annotations

import select
import socket
import struct
from collections.abc import Iterator

import pytest

from pymdc.bridge.peers import has_closed


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
