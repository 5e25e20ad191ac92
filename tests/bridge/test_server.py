from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx
import pytest
from websockets.exceptions import ConnectionClosedError
from websockets.sync.client import connect

from pymdc.bridge import server
from pymdc.bridge.errors import Unavailable
from pymdc.bridge.mail import Mail
from pymdc.bridge.server import BridgeThread, greeting, serve
from pymdc.bridge.settings import Settings

from ..engines import chosen_for
from .harness import PASSWORD, cleaned, file_hash, multipart, running
from .test_middleware import connected, head


def test_a_bridge_serves_until_it_is_stopped_and_then_again(tmp_path: Path) -> None:
    with BridgeThread(Settings(tmp_path, port=0)) as bridge:
        assert httpx.get(f"{bridge.url}/health").status_code == 200
        port = bridge.settings.port
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"{bridge.url}/health")
    bridge.stop()
    with BridgeThread(Settings(tmp_path, port=port)) as again:
        assert again.url == bridge.url


def test_a_port_that_is_taken_is_an_error(tmp_path: Path) -> None:
    with BridgeThread(Settings(tmp_path / "one", port=0)) as bridge:
        other = BridgeThread(Settings(tmp_path / "other", port=bridge.settings.port))
        with pytest.raises(OSError, match="in use"):
            other.start()
        other.stop()


def test_a_bridge_whose_database_cannot_be_opened_does_not_keep_its_port(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with pytest.raises(Unavailable):
        BridgeThread(Settings(tmp_path, port=port, database="sqlite:////nowhere/at/all")).start()
    with BridgeThread(Settings(tmp_path, port=port)) as bridge:
        assert bridge.settings.port == port


def test_a_bridge_listens_on_ipv6(tmp_path: Path) -> None:
    with BridgeThread(Settings(tmp_path, host="::1", port=0)) as bridge:
        assert bridge.url.startswith("http://[::1]:")
        assert httpx.get(f"{bridge.url}/health").status_code == 200


def test_a_connection_that_never_sends_anything_is_closed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "KEEP_ALIVE_SECONDS", 0.05)
    with running(tmp_path) as bridge, connected(bridge) as silent:
        assert silent.recv(1) == b""


def test_stopping_does_not_wait_for_ever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(server, "CANCEL_SECONDS", 1)
    with running(tmp_path, stop_seconds=0.1) as bridge:
        alice = bridge.person()
        bucket, body = alice.bucket(), multipart(bytes(20 << 20))
        with connected(bridge) as connection:
            connection.sendall(head(alice, bucket, len(body), alice.token(bucket, "PUSH")) + body[:-100])
            bridge.thread.stop()
        assert bridge.sql("SELECT * FROM entries") == []
    assert "Exception" not in caplog.text
    cleaned(bridge.settings)
    assert bridge.blobs() == []


def test_a_client_that_does_not_read_is_disconnected_when_the_bridge_stops(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(server, "CANCEL_SECONDS", 0.1)
    data = bytes(8 << 20)
    with running(tmp_path, stop_seconds=0.1) as bridge, connected(bridge) as connection:
        alice = bridge.person()
        bucket = alice.bucket(storage=1, transfer=1)
        assert alice.upload(bucket, data).status_code == 200
        headers = {"x-token": alice.token(bucket, "PULL"), "x-direct": "1"}
        (pointer,) = bridge.http.get(f"/buckets/{bucket}/files/{file_hash(data)}", headers=headers).json()
        path = pointer["url"].removeprefix(bridge.thread.url)
        connection.sendall(f"GET {path} HTTP/1.1\r\nHost: bridge\r\n\r\n".encode())
        with connect(pointer["channel"], compression=None, proxy=None, max_queue=1) as channel:
            channel.send(json.dumps(pointer))
            assert connection.recv(1) == b"H"
            assert len(channel.recv()) > 1
            bridge.thread.stop()
            assert received(connection) < len(data)
            with pytest.raises(ConnectionClosedError):
                list(channel)
    told = "a transfer was cut off because the bridge stops: "
    expected = {f"{told}/{{path}}"}
    if pointer["url"].startswith(bridge.thread.url):  # else an object store sends the shard
        expected.add(f"{told}/shards/{{hash}}")
    assert {text for text in caplog.messages if text.startswith(told)} == expected
    assert "Exception" not in caplog.text


def received(connection: socket.socket) -> int:
    """Read until the other side has closed the connection. Return how many bytes came."""
    total = 0
    with suppress(ConnectionResetError):
        while piece := connection.recv(1 << 20):
            total += len(piece)
    return total


@pytest.mark.parametrize("told", [True, False])
def test_a_bridge_that_starts_says_how_to_use_it(tmp_path: Path, told: bool) -> None:
    lines: list[str] = []
    mails: list[Mail] = []

    def use() -> None:
        url = lines[2].partition("=")[2]
        httpx.post(f"{url}/users", json={"email": "a@example.com", "password": PASSWORD}, timeout=30)
        os.kill(os.getpid(), signal.SIGINT)

    def echo(line: str) -> None:
        lines.append(line)
        if len(lines) == 3:
            threading.Thread(target=use).start()

    with pytest.raises(KeyboardInterrupt):
        serve(Settings(tmp_path, port=0, on_mail=mails.append if told else None), echo)
    assert lines[0] == f"Data: {tmp_path}"
    assert lines[1] == f"Mail: {tmp_path / 'outbox'}"
    assert lines[2].startswith("export STORJ_BRIDGE=http://127.0.0.1:")
    assert lines[3].startswith(f"To activate a@example.com: {lines[2].partition('=')[2]}/activations/")
    assert [mail.link for mail in mails] == [lines[3].split()[-1]] * told


@contextmanager
def process(data: Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A bridge in a process of its own, and its URL."""
    code = (
        "import json, sys; from pathlib import Path; from pymdc.bridge.server import serve;"
        "from pymdc.bridge.settings import Settings;"
        "settings = Settings(Path(sys.argv[1]), port=0, **json.loads(sys.argv[2]));"
        "serve(settings, lambda line: print(line, flush=True))"
    )
    command = [sys.executable, "-c", code, str(data), json.dumps(chosen_for(data))]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as running:
        assert running.stdout is not None
        try:
            url = next(line for line in running.stdout if "STORJ_BRIDGE" in line).strip().partition("=")[2]
            yield running, url
        finally:
            running.kill()


def test_a_bridge_ends_when_it_is_told_to(tmp_path: Path) -> None:
    with process(tmp_path) as (running, url):
        assert httpx.get(f"{url}/health").status_code == 200
        running.send_signal(signal.SIGTERM)
        assert running.wait(30) == -signal.SIGTERM


@pytest.mark.skipif(os.name != "posix", reason="files have no such modes here")
def test_only_the_owner_can_read_the_files_of_a_bridge_with_any_umask(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        (tmp_path / "bridge.sqlite").touch(mode=0o644)
        with BridgeThread(Settings(tmp_path, port=0)) as bridge:
            httpx.post(f"{bridge.url}/users", json={"email": "a@example.com", "password": "ab" * 32}).raise_for_status()
            modes = {path.name: path.stat().st_mode & 0o077 for path in tmp_path.glob("bridge.sqlite*")}
            modes |= {path.name: path.stat().st_mode & 0o077 for path in (tmp_path / "shards").iterdir()}
    finally:
        os.umask(before)
    assert modes == {"bridge.sqlite": 0, "bridge.sqlite-wal": 0, "bridge.sqlite-shm": 0, "identity": 0}


@pytest.mark.parametrize(
    ("host", "public_url", "warned"),
    [("0.0.0.0", None, True), ("::", None, True), ("0.0.0.0", "https://bridge.example", False), ("::1", None, False)],
)
def test_a_bridge_for_other_machines_warns_if_they_cannot_reach_its_address(
    tmp_path: Path, host: str, public_url: str | None, warned: bool
) -> None:
    settings = Settings(tmp_path, host=host, public_url=public_url)
    lines = greeting(settings)
    assert lines[:3] == [
        f"Data: {tmp_path}",
        f"Mail: {tmp_path / 'outbox'}",
        f"export STORJ_BRIDGE={settings.base_url}",
    ]
    assert any("other machines cannot reach it" in line for line in lines) == warned
    assert any("--public-url" in line for line in lines) == warned


def test_a_bridge_that_mails_by_smtp_names_the_server(tmp_path: Path) -> None:
    assert "Mail: smtp.example" in greeting(Settings(tmp_path, smtp_host="smtp.example", smtp_sender="a@b.example"))
