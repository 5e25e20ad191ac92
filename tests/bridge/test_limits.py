from __future__ import annotations

import contextlib
import select
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import anyio
import pytest
from starlette.types import Message, Receive, Scope, Send
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from pymdc.bridge.errors import Refused, Unavailable
from pymdc.bridge.limits import Limits, LimitsMiddleware
from pymdc.bridge.settings import Settings

from ..engines import chosen_for
from .chaos.processes import visited
from .harness import Person, multipart, running, until
from .test_middleware import connected, head, read_reply

STOPPING = {"error": "The bridge is stopping, try again later"}


@contextlib.contextmanager
def slow_upload(person: Person, bucket: str, data: bytes) -> Iterator[Callable[[], int]]:
    """An upload that has begun. What is yielded sends the rest, and returns the status."""
    body = multipart(data)
    with connected(person.bridge) as connection:
        connection.sendall(head(person, bucket, len(body), person.token(bucket, "PUSH"), len(data)) + body[:-10])
        until(person.bridge, lambda: person.bridge.sql("SELECT * FROM uploads"))

        def finish() -> int:
            connection.sendall(body[-10:])
            return read_reply(connection)[0]

        yield finish


def test_uploads_beyond_the_share_of_an_address_wait_and_are_all_served(tmp_path: Path) -> None:
    with running(tmp_path, uploads_per_address=2) as bridge:
        alice = bridge.person()
        bucket = alice.bucket()
        tokens = [alice.token(bucket, "PUSH") for _ in range(60)]
        files = [f"file {number}".encode() * 20_000 for number in range(60)]
        with ThreadPoolExecutor(60) as pool:
            replies = list(pool.map(lambda f, t: alice.put(bucket, multipart(f), len(f), t).status_code, files, tokens))
        assert replies == [200] * 60
        assert len(alice.send("GET", f"/buckets/{bucket}/files").json()) == 60


def test_an_upload_that_waits_is_not_read_and_keeps_its_token(tmp_path: Path) -> None:
    with running(tmp_path, uploads_per_address=1) as bridge:
        alice = bridge.person()
        bucket, body = alice.bucket(), multipart(bytes(20 << 20))
        with slow_upload(alice, bucket, b"slow") as finish, connected(bridge) as waiting:
            waiting.settimeout(0.5)
            with pytest.raises(TimeoutError):  # the system's buffers are full
                waiting.sendall(head(alice, bucket, len(body), alice.token(bucket, "PUSH"), 20 << 20) + body)
            assert len(bridge.sql("SELECT * FROM uploads")) == 1
            assert finish() == 200


def test_an_upload_whose_client_goes_while_it_waits_is_forgotten(tmp_path: Path) -> None:
    with running(tmp_path, uploads_per_address=1, access_log=str(tmp_path / "log")) as bridge:
        alice = bridge.person()
        bucket, body = alice.bucket(), multipart(bytes(20 << 20))
        token, log = alice.token(bucket, "PUSH"), tmp_path / "log"
        assert bridge.thread._server is not None
        line = bridge.thread._server.bridge.limits.uploads
        with slow_upload(alice, bucket, b"slow") as finish:
            for size in (100_000, 100):  # one that stops being read, and one that is read to its end
                with connected(bridge) as waiting:
                    waiting.sendall(head(alice, bucket, len(body), token) + body[:size])
                    until(bridge, lambda: line.waiting)
                until(bridge, lambda: '"status":400' in log.read_text())
                log.write_text("")
            assert finish() == 200
        assert alice.put(bucket, multipart(b"data"), 4, token).status_code == 200, "the token was not spent"


def test_an_upload_whose_client_goes_while_it_waits_is_forgotten_where_there_is_no_poll(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(select, "poll", raising=False)  # Windows has none
    with running(tmp_path, uploads_per_address=1) as bridge:
        alice = bridge.person()
        bucket, body = alice.bucket(), multipart(b"data")
        token = alice.token(bucket, "PUSH")
        assert bridge.thread._server is not None
        line = bridge.thread._server.bridge.limits.uploads
        with slow_upload(alice, bucket, b"slow") as finish:
            with connected(bridge) as waiting:
                waiting.sendall(head(alice, bucket, len(body), token) + body[:50])
                until(bridge, lambda: line.waiting)
            until(bridge, lambda: not line.waiting)
            assert finish() == 200
        assert alice.put(bucket, body, 4, token).status_code == 200, "the token was not spent"


def test_requests_beyond_the_limit_are_told_to_come_again(tmp_path: Path) -> None:
    with running(tmp_path) as bridge:
        alice = bridge.person()
        bucket = alice.bucket()
    with running(tmp_path, max_requests=1) as bridge, connected(bridge) as connection:
        person = Person(bridge, alice.email, alice.key)
        token = person.token(bucket, "PUSH")
        connection.sendall(head(person, bucket, 1000, token))
        until(bridge, lambda: bridge.http.get("/").status_code == 503)
        reply = bridge.http.get("/", headers={"origin": "http://a"})
        assert reply.json() == {"error": "The bridge is too busy, try again later"}
        assert reply.headers["access-control-allow-origin"] == "http://a"
        assert bridge.http.get("/health").status_code == 200, "whoever watches the bridge still hears of it"


def test_an_address_has_a_share_of_the_requests_under_way(tmp_path: Path) -> None:
    limits = Limits(Settings(tmp_path, max_requests=40))
    with ExitStack() as under_way:
        for _ in range(10):
            under_way.enter_context(limits.request("2001:db8::1"))
        with pytest.raises(Refused, match=r"^Too many requests at once from this address") as refused:
            under_way.enter_context(limits.request("2001:db8::2"))
        assert refused.value.status == 429
        for number in range(30):
            under_way.enter_context(limits.request(f"192.0.2.{number}"))
        with pytest.raises(Unavailable):
            under_way.enter_context(limits.request("198.51.100.1"))
    assert not limits.busy


def test_requests_and_channels_are_counted_while_they_last(tmp_path: Path) -> None:
    limits = Limits(Settings(tmp_path))
    with limits.request("192.0.2.1"), limits.request("192.0.2.1"), limits.channel(), limits.channel():
        assert (limits.requests, limits.channels, limits.busy) == (2, 2, True)
    assert (limits.requests, limits.channels, limits.busy) == (0, 0, False)


def test_a_stopping_bridge_finishes_what_is_under_way_and_refuses_the_rest(tmp_path: Path) -> None:
    with running(tmp_path, stop_seconds=60) as bridge:
        alice = bridge.person()
        bucket = alice.bucket()
        alice.upload(bucket, b"data")
        pull = alice.token(bucket, "PULL")
        with slow_upload(alice, bucket, b"slow") as finish:
            stopping = threading.Thread(target=bridge.thread.stop)
            stopping.start()
            while (reply := bridge.http.get("/health")).status_code == 200:
                pass
            assert (reply.status_code, reply.json()) == (503, STOPPING)
            assert bridge.http.get(f"/buckets/{bucket}/files/x", headers={"x-token": pull}).status_code == 503
            with pytest.raises(InvalidStatus) as refused:
                connect(bridge.thread.url.replace("http", "ws"), proxy=None)
            assert refused.value.response.status_code == 503
            assert finish() == 200
            stopping.join(30)
        assert not stopping.is_alive()
        assert bridge.sql("SELECT count(*) FROM entries") == [(2,)]


def test_an_upload_that_waits_is_told_when_the_bridge_stops(tmp_path: Path) -> None:
    with running(tmp_path, uploads_per_address=1, stop_seconds=60) as bridge:
        alice = bridge.person()
        bucket, body = alice.bucket(), multipart(b"waiting")
        with slow_upload(alice, bucket, b"slow") as finish, connected(bridge) as waiting:
            waiting.sendall(head(alice, bucket, len(body), alice.token(bucket, "PUSH"), 7) + body)
            stopping = threading.Thread(target=bridge.thread.stop)
            stopping.start()
            status, reply = read_reply(waiting)
            assert status == 503
            assert b"The bridge is stopping" in reply
            assert finish() == 200
            stopping.join(30)
        assert not stopping.is_alive()


def test_a_process_that_is_told_to_stop_finishes_a_slow_upload(tmp_path: Path) -> None:
    with running(tmp_path) as bridge:
        alice = bridge.person()
        bucket = alice.bucket()
    command = [sys.executable, "-m", "pymdc", "bridge", "--port", "0", "--data", str(tmp_path)]
    command += [part for name, value in chosen_for(tmp_path).items() for part in (f"--{name}", value)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        url = next(line for line in process.stdout if "STORJ_BRIDGE" in line).strip().partition("=")[2]
        with (
            visited(bridge.settings, url) as there,
            slow_upload(Person(there, alice.email, alice.key), bucket, b"slow") as finish,
        ):
            process.send_signal(signal.SIGTERM)
            while there.http.get("/health").status_code == 200:
                pass
            assert finish() == 200
            assert process.wait(30) == -signal.SIGTERM
    with running(tmp_path) as bridge:
        files = Person(bridge, alice.email, alice.key).send("GET", f"/buckets/{bucket}/files").json()
        assert [entry["size"] for entry in files] == [4]


def test_a_second_interrupt_does_not_wait_for_transfers(tmp_path: Path) -> None:
    with running(tmp_path) as bridge:
        alice = bridge.person()
        bucket = alice.bucket()
    command = [sys.executable, "-m", "pymdc", "bridge", "--port", "0", "--data", str(tmp_path), "--stop-seconds", "600"]
    command += [part for name, value in chosen_for(tmp_path).items() for part in (f"--{name}", value)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        url = next(line for line in process.stdout if "STORJ_BRIDGE" in line).strip().partition("=")[2]
        with (
            visited(bridge.settings, url) as there,
            slow_upload(Person(there, alice.email, alice.key), bucket, b"slow"),
        ):
            process.send_signal(signal.SIGINT)
            while there.http.get("/health").status_code == 200:
                pass
            process.send_signal(signal.SIGINT)
            assert process.wait(30) == 0


def test_a_gate_answers_for_itself_alone(tmp_path: Path) -> None:
    async def refuses(_scope: Scope, _receive: Receive, _send: Send) -> None:
        raise Refused(400, "behind the gate")

    async def receive() -> Message:
        return {}

    async def send(_: Message) -> None:
        pass

    limits = Limits(Settings(tmp_path))
    scope = {"type": "http", "path": "/", "client": ("192.0.2.1", 0)}
    with pytest.raises(Refused, match=r"^behind the gate$"):
        anyio.run(LimitsMiddleware(refuses, limits), scope, receive, send)
    assert not limits.busy
