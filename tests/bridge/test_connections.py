from __future__ import annotations

import asyncio
import contextlib
import socket
from pathlib import Path

import pytest

from pymdc.bridge import connections
from pymdc.bridge.connections import Connections, listen, serve_connections, share
from pymdc.bridge.settings import Settings


class Fake:
    """A connection that may be closed."""

    def __init__(self, *, idle: bool = True) -> None:
        self.idle = idle
        self.closed = False

    def abort(self) -> None:
        self.closed = True


@pytest.mark.parametrize(("total", "expected"), [(800, 200), (40, 10), (16, 8), (8, 8), (2, 2)])
def test_the_share_of_an_address_is_a_quarter_but_no_fewer_than_it_needs(total: int, expected: int) -> None:
    assert share(total) == expected


def test_an_address_beyond_its_share_is_closed_and_others_are_not(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    connections = Connections(Settings(tmp_path, max_connections=40))
    assert [connections.admit("192.0.2.1") for _ in range(12)] == [True] * 10 + [False] * 2
    assert connections.admit("192.0.2.2")
    assert len(caplog.records) == 1, "it is told once"
    for _ in range(10):
        connections.gone("192.0.2.1")
    assert connections.admit("192.0.2.1")


def test_a_customers_addresses_share_one_share(tmp_path: Path) -> None:
    connections = Connections(Settings(tmp_path, max_connections=8))
    assert all(connections.admit(f"2001:db8::{number}") for number in range(8))
    assert not connections.admit("2001:db8::8")


def test_an_address_loses_its_own_idle_connections_first(tmp_path: Path) -> None:
    connections = Connections(Settings(tmp_path, max_connections=2))
    busy, idle, other = Fake(idle=False), Fake(), Fake()
    for connection in (busy, idle):
        assert connections.admit("192.0.2.1")
        connections.can_close("192.0.2.1", connection)
    connections.can_close("192.0.2.2", other)
    assert connections.admit("192.0.2.1")
    assert (busy.closed, idle.closed, other.closed) == (False, True, False)
    connections.cannot_close("192.0.2.1", idle)
    connections.cannot_close("192.0.2.1", idle)
    assert not connections.admit("192.0.2.1")


def test_when_all_are_taken_every_idle_one_is_closed(tmp_path: Path) -> None:
    connections = Connections(Settings(tmp_path, max_connections=2))
    mine = [Fake(), Fake()]
    for number, connection in enumerate(mine):
        assert connections.admit(f"192.0.2.{number}")
        connections.can_close(f"192.0.2.{number}", connection)
    assert connections.admit("192.0.2.9")
    assert all(connection.closed for connection in mine)


def test_a_trusted_proxy_has_no_share(tmp_path: Path) -> None:
    connections = Connections(Settings(tmp_path, max_connections=40, trusted_proxies=("192.0.2.0/24",)))
    assert [connections.admit("192.0.2.1") for _ in range(41)] == [True] * 40 + [False]


def test_a_connection_is_counted_until_it_is_closed(tmp_path: Path) -> None:
    connections = Connections(Settings(tmp_path, max_connections=1))

    async def run() -> None:
        lost: asyncio.Queue[None] = asyncio.Queue()

        class Silent(asyncio.Protocol):
            def connection_lost(self, exc: Exception | None) -> None:
                lost.put_nowait(None)

        with listen("127.0.0.1", 0) as listener:
            serving = asyncio.create_task(serve_connections(listener, connections, Silent, None))
            address = listener.getsockname()
            for _ in range(2):
                _, first = await asyncio.open_connection(*address)
                reader, second = await asyncio.open_connection(*address)
                with contextlib.suppress(ConnectionResetError):
                    assert await reader.read() == b""
                second.close()
                first.close()
                await lost.get()
            serving.cancel()
            await asyncio.gather(serving, return_exceptions=True)

    asyncio.run(run())


def test_accepting_goes_on_after_one_connection_fails(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "_PAUSE_SECONDS", 0.0)
    monkeypatch.setattr(connections, "_TELL_SECONDS", 0.0)

    async def until_told(times: int) -> None:
        while caplog.text.count("could not be accepted") < times:
            await asyncio.sleep(0)

    async def run() -> None:
        listener = socket.socket()  # nobody has told it to listen
        serving = asyncio.create_task(
            serve_connections(listener, Connections(Settings(tmp_path)), asyncio.Protocol, None)
        )
        await until_told(2)
        assert not serving.done()
        serving.cancel()
        await asyncio.gather(serving, return_exceptions=True)
        listener.close()

    asyncio.run(run())


def test_failures_to_accept_do_not_fill_the_log(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    counted = Connections(Settings(tmp_path))
    for _ in range(100):
        counted.not_accepted(OSError("Too many open files"))
    assert caplog.messages == ["a connection could not be accepted: Too many open files"]


def test_an_address_that_cannot_be_listened_on_is_an_error() -> None:
    with listen("127.0.0.1", 0) as listener, pytest.raises(OSError, match="in use"):
        listen("127.0.0.1", listener.getsockname()[1])
