"""Sockets whose waits end at a deadline or when the call is cancelled."""

from __future__ import annotations

import base64
import errno
import os
import selectors
import socket
import ssl
import threading
import time
from collections.abc import Callable
from concurrent.futures import CancelledError
from http.client import BadStatusLine

import pytest

from pymdc import config
from pymdc.core.job import Job
from pymdc.core.network import Stream, retry_until, wait

from ..hostile import (
    HOST,
    Connection,
    Script,
    Server,
    client_context,
    full_backlog,
    refusing_port,
    relay,
    server_context,
)

LONG = 60.0


def job() -> Job:
    return Job(lambda function: None)


def soon(seconds: float = LONG) -> float:
    return time.monotonic() + seconds


def echo(connection: Connection) -> None:
    while data := connection.sock.recv(1 << 16):
        connection.send(data)


def silent(connection: Connection) -> None:
    connection.wait()


@pytest.mark.parametrize("context", [None, server_context()])
def test_bytes_are_sent_and_received(context: ssl.SSLContext | None) -> None:
    with Server(echo, context=context) as server:
        stream = Stream.open(HOST, server.port, client_context() if context else None, soon(), job())
        data = os.urandom(100_000)
        stream.send(data, soon())
        got = b""
        while len(got) < len(data):
            got += stream.receive(soon())
        assert got == data
        stream.close()


def test_a_large_message_is_sent_whole_to_a_slow_reader(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(config, "POLL_SECONDS", 0.01)
    data, got, full = os.urandom(20_000_000), bytearray(), threading.Event()

    def slow(connection: Connection) -> None:
        full.wait(0.05)
        while len(got) < len(data):
            got.extend(connection.sock.recv(1 << 20))
        connection.send(b"x")

    with Server(slow) as server:
        stream = Stream.open(HOST, server.port, None, soon(), job())
        stream.send(data, soon())
        assert stream.receive(soon()) == b"x"
        assert stream.receive(soon()) == b""
        stream.close()
    assert got == data


def test_a_wait_ends_at_its_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(config, "POLL_SECONDS", 0.01)
    with Server(silent) as server:
        stream = Stream.open(HOST, server.port, None, soon(), job())
        with pytest.raises(TimeoutError):
            stream.receive(soon(0.02))
        with pytest.raises(TimeoutError):
            stream.send(bytes(20_000_000), soon(0.02))
        stream.close()
        with pytest.raises(TimeoutError):
            Stream.open(HOST, server.port, client_context(), soon(0.02), job())
    with full_backlog() as port, pytest.raises(TimeoutError):
        Stream.open(HOST, port, None, soon(0.02), job())


def cancelled_soon() -> Job:
    made = job()
    threading.Timer(0.05, made.cancel).start()
    return made


def connecting(server: Server, wanted: Job) -> None:
    with full_backlog() as port:
        Stream.open(HOST, port, None, None, wanted)


def shaking_hands(server: Server, wanted: Job) -> None:
    Stream.open(HOST, server.port, client_context(), None, wanted)


def receiving(server: Server, wanted: Job) -> None:
    stream = Stream.open(HOST, server.port, None, None, wanted)
    try:
        stream.receive(None)
    finally:
        stream.close()


def sending(server: Server, wanted: Job) -> None:
    stream = Stream.open(HOST, server.port, None, None, wanted)
    try:
        stream.send(bytes(50_000_000), None)
    finally:
        stream.close()


@pytest.mark.parametrize("wait", [connecting, shaking_hands, receiving, sending])
def test_every_wait_ends_within_a_second_when_the_job_is_cancelled(wait: Callable[[Server, Job], None]) -> None:
    with Server(silent) as server:
        began = time.monotonic()
        with pytest.raises(CancelledError):
            wait(server, cancelled_soon())
        assert time.monotonic() - began < 1


def test_a_connection_that_is_refused_is_a_connection_refused_error() -> None:
    with refusing_port() as port, pytest.raises(ConnectionRefusedError):
        Stream.open(HOST, port, None, soon(), job())


def test_the_addresses_of_a_host_are_tried_in_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    real = socket.getaddrinfo
    with Server(echo) as server, refusing_port() as port, monkeypatch.context() as patch:
        found = [*real(HOST, port, type=socket.SOCK_STREAM), *real(HOST, server.port, type=socket.SOCK_STREAM)]
        patch.setattr(socket, "getaddrinfo", lambda *_, **more: found)
        Stream.open("two.example", 80, None, soon(), job()).close()
        found.clear()
        with pytest.raises(OSError, match=r"no address: 'two\.example:80'"):
            Stream.open("two.example", 80, None, soon(), job())


def test_an_untrusted_certificate_is_an_ssl_error() -> None:
    with Server(echo, context=server_context()) as server, pytest.raises(ssl.SSLCertVerificationError):
        Stream.open(HOST, server.port, ssl.create_default_context(), soon(), job())


# Proxies


@pytest.fixture
def proxy(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    def name(url: str) -> None:
        for variable in ("http_proxy", "https_proxy"):
            monkeypatch.setenv(variable, url)

    return name


@pytest.mark.parametrize("context", [None, server_context()])
def test_a_proxy_that_the_environment_names_makes_the_tunnel(
    proxy: Callable[[str], None], context: ssl.SSLContext | None
) -> None:
    with Server(echo, context=context) as server, Server(relay) as tunnel:
        proxy(f"http://us%40er:pass@{HOST}:{tunnel.port}")
        stream = Stream.open(HOST, server.port, client_context() if context else None, soon(), job())
        stream.send(b"hello", soon())
        assert stream.receive(soon()) == b"hello"
        stream.close()
        (request,) = tunnel.requests
        assert (request.method, request.target) == ("CONNECT", f"{HOST}:{server.port}")
        assert request.headers["proxy-authorization"] == "Basic " + base64.b64encode(b"us@er:pass").decode()


def test_a_proxy_for_all_needs_no_scheme_and_an_ipv6_address_has_its_brackets(monkeypatch: pytest.MonkeyPatch) -> None:
    with Server(answering_with(b"HTTP/1.0 200 OK\r\n\r\n")) as tunnel:
        monkeypatch.setenv("all_proxy", f"{HOST}:{tunnel.port}")
        Stream.open("::1", 5, None, soon(), job()).close()
        assert tunnel.requests[0].target == "[::1]:5"
        assert "proxy-authorization" not in tunnel.requests[0].headers


def test_a_host_that_the_environment_excepts_is_reached_directly(
    proxy: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    with Server(echo) as server, refusing_port() as port:
        proxy(f"http://{HOST}:{port}")
        for named in (HOST, f"{HOST}:{server.port}"):
            monkeypatch.setenv("no_proxy", named)
            Stream.open(HOST, server.port, None, soon(), job()).close()


def answering_with(data: bytes) -> Script:
    def script(connection: Connection) -> None:
        connection.read_head()
        connection.send(data)

    return script


@pytest.mark.parametrize(
    ("reply", "error", "words"),
    [
        (b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n", OSError, "no tunnel: 407 Proxy Authentication"),
        (b"HTTP/1.1 502 Bad Gateway\r\n\r\n<html>", OSError, "no tunnel: 502"),
        (b"SSH-2.0-OpenSSH\r\n\r\n", BadStatusLine, "SSH"),
        (b"\x00" * 100_000, BadStatusLine, "\x00"),
        (b"", BadStatusLine, "without a reply"),
    ],
)
def test_a_proxy_that_makes_no_tunnel_is_an_error(
    proxy: Callable[[str], None], reply: bytes, error: type[Exception], words: str
) -> None:
    with Server(answering_with(reply)) as tunnel:
        proxy(f"http://{HOST}:{tunnel.port}")
        with pytest.raises(error, match=words):
            Stream.open("farmer.example", 80, None, soon(), job())


@pytest.mark.parametrize("url", ["socks5://h:1", "https://h:1", "http://"])
def test_a_proxy_of_another_kind_is_an_error_that_says_so_without_its_password(
    proxy: Callable[[str], None], url: str
) -> None:
    proxy(url)
    with pytest.raises(OSError, match="proxies of the kind http://host:port only"):
        Stream.open("farmer.example", 80, None, soon(), job())


def test_a_connection_that_the_system_gives_up_is_not_tried_again() -> None:
    ours, theirs = socket.socketpair()
    tried: list[int] = []

    def attempt() -> None:
        tried.append(1)
        raise TimeoutError(errno.ETIMEDOUT, "timed out")

    with ours, theirs, pytest.raises(TimeoutError):
        retry_until(attempt, ours, None, job())
    assert tried == [1]


def test_a_wait_without_a_limit_ends_when_bytes_come() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        threading.Timer(0.05, theirs.send, [b"x"]).start()
        wait(ours, selectors.EVENT_READ, None, job())
        assert ours.recv(1) == b"x"


def test_a_reset_that_a_write_meets_is_a_connection_error_over_tls_too() -> None:
    with Server(Connection.reset, context=server_context()) as server:
        stream = Stream.open(HOST, server.port, client_context(), soon(), job())

        def send_on() -> None:
            while True:
                stream.send(bytes(100_000), soon())

        with pytest.raises(ConnectionError):
            send_on()
        stream.close()
