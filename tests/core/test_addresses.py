"""Connecting to a host with several addresses: the first one that answers is taken."""

from __future__ import annotations

import errno
import socket
import threading
import time
from collections.abc import Callable
from concurrent.futures import CancelledError
from contextlib import ExitStack
from typing import Any

import pytest

from pymdc import Client, config
from pymdc.api import REST
from pymdc.core import addresses
from pymdc.core.addresses import connect
from pymdc.core.job import Job
from tests.hostile import HOST, Connection, Server, answering, full_backlog, refusing_port, reply_bytes, server_context

Found = Callable[..., None]


def job() -> Job:
    return Job(lambda function: None)


def soon(seconds: float = 20.0) -> float:
    return time.monotonic() + seconds


def tcp(port: int, family: int = socket.AF_INET) -> tuple[Any, ...]:
    return (family, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", (HOST, port))


@pytest.fixture
def found(monkeypatch: pytest.MonkeyPatch) -> Found:
    """Let the name bridge.example have these addresses."""
    real, addresses = socket.getaddrinfo, list[tuple[Any, ...]]()

    def have(*entries: tuple[Any, ...]) -> None:
        addresses[:] = entries

    def find(host: str, *rest: Any, **more: Any) -> Any:
        return list(addresses) if host == "bridge.example" else real(host, *rest, **more)

    monkeypatch.setattr(socket, "getaddrinfo", find)
    return have


def test_an_address_that_does_not_answer_holds_up_the_next_one_for_a_moment_only(found: Found) -> None:
    with Server(Connection.wait) as server, full_backlog() as dead:
        found(tcp(dead), tcp(server.port))
        begun = time.monotonic()
        sock = connect("bridge.example", 80, soon(), job())
        assert sock.getpeername() == (HOST, server.port)
        assert config.ATTEMPT_SECONDS <= time.monotonic() - begun < 2
        sock.close()


def test_the_first_address_wins_even_if_it_answers_late(found: Found, monkeypatch: pytest.MonkeyPatch) -> None:
    """Attempts run at the same time: an attempt goes on when the next one begins."""
    monkeypatch.setattr(config, "ATTEMPT_SECONDS", 0.01)
    with Server(Connection.wait) as server, full_backlog() as dead, full_backlog() as other:
        found(tcp(dead), tcp(other), tcp(server.port))
        connect("bridge.example", 80, soon(), job()).close()


def test_the_next_address_follows_at_once_after_a_refusal(found: Found) -> None:
    with Server(Connection.wait) as server, ExitStack() as stack:
        ports = [stack.enter_context(refusing_port()) for _ in range(8)]
        found(*[tcp(port) for port in ports], tcp(server.port))
        begun = time.monotonic()
        connect("bridge.example", 80, soon(), job()).close()
        assert time.monotonic() - begun < 4 * config.ATTEMPT_SECONDS


def test_a_family_that_the_system_lacks_does_not_end_the_search(found: Found) -> None:
    with Server(Connection.wait) as server:
        found(tcp(1, 12345), tcp(server.port))
        connect("bridge.example", 80, soon(), job()).close()
        found(tcp(server.port), tcp(1, 12345))
        connect("bridge.example", 80, soon(), job()).close()
        found(tcp(1, 12345))
        with pytest.raises(OSError, match=r"bridge\.example:80") as caught:
            connect("bridge.example", 80, soon(), job())
        assert caught.value.errno == errno.EAFNOSUPPORT


def test_an_address_that_cannot_be_reached_does_not_end_the_search(found: Found) -> None:
    unreachable = (socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", ("255.255.255.255", 9))
    with Server(Connection.wait) as server:
        found(unreachable, tcp(server.port))
        connect("bridge.example", 80, soon(), job()).close()


def test_the_families_take_turns() -> None:
    six, four = socket.AF_INET6, socket.AF_INET
    entries: list[Any] = [(six, 1), (six, 2), (six, 3), (four, 4), (four, 5)]
    assert [entry[1] for entry in addresses._alternating(entries)] == [1, 4, 2, 5, 3]


def test_dead_addresses_end_with_the_limit(found: Found) -> None:
    with full_backlog() as dead:
        found(tcp(dead), tcp(dead))
        with pytest.raises(TimeoutError, match=r"bridge\.example:80"):
            connect("bridge.example", 80, soon(0.3), job())


def test_no_socket_is_left_behind(found: Found) -> None:
    """A warning about an unclosed socket would be an error here."""
    with full_backlog() as dead:
        found(*[tcp(dead)] * 3)
        wanted = job()
        threading.Timer(2 * config.ATTEMPT_SECONDS, wanted.cancel).start()
        with pytest.raises(CancelledError):
            connect("bridge.example", 80, soon(), wanted)


# Names


def test_a_name_that_is_looked_up_for_too_long_ends_with_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    answered = threading.Event()

    def slow(*_: Any, **more: Any) -> Any:
        if more.get("flags"):
            raise socket.gaierror(socket.EAI_NONAME, "no address")
        answered.wait(20)
        return []

    monkeypatch.setattr(socket, "getaddrinfo", slow)
    with pytest.raises(TimeoutError, match=r"bridge\.example:80"):
        connect("bridge.example", 80, soon(0.05), job())
    answered.set()


def test_a_name_that_is_looked_up_slowly_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(config, "POLL_SECONDS", 0.01)
    real, answered = socket.getaddrinfo, threading.Event()

    def slow(*args: Any, **more: Any) -> Any:
        if not more.get("flags"):
            answered.wait(20)
        return real(*args, **more)

    with Server(Connection.wait) as server, monkeypatch.context() as patch:
        patch.setattr(socket, "getaddrinfo", slow)
        threading.Timer(0.1, answered.set).start()
        connect("localhost", server.port, soon(), job()).close()


def test_a_name_is_looked_up_in_this_thread_if_no_other_can_be_started(monkeypatch: pytest.MonkeyPatch) -> None:
    start = threading.Thread.start

    def refuse(thread: threading.Thread) -> None:
        if thread.name == "pymdc-addresses":
            raise RuntimeError("can't start new thread")
        start(thread)

    with Server(Connection.wait) as server:
        monkeypatch.setattr(threading.Thread, "start", refuse)
        connect("localhost", server.port, soon(), job()).close()


@pytest.mark.parametrize("host", ["no.such.host.invalid", HOST])
def test_the_error_of_a_call_says_which_host_it_was_about(host: str) -> None:
    with refusing_port() as port, Client(f"http://{host}:{port}") as client:
        value = REST("POST", "/a", client=client)
    assert f"{host}:{port}" in str(value)
    assert value.filename == f"http://{host}:{port}"
    assert isinstance(value.reason, socket.gaierror | ConnectionRefusedError)


def test_the_error_of_a_certificate_says_which_host_it_was_about() -> None:
    fine = answering(lambda request: reply_bytes(200, "{}"))
    with Server(fine, context=server_context()) as server, Client(f"https://localhost:{server.port}") as client:
        value = REST("POST", "/a", client=client)
        assert "localhost" in str(value)
        assert value.filename == f"https://localhost:{server.port}"
