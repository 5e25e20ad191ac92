from __future__ import annotations

import multiprocessing
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from multiprocessing.context import SpawnProcess
from pathlib import Path

import httpx
import pytest

from pymdc.bridge import server, workers
from pymdc.bridge.server import serve
from pymdc.bridge.settings import Settings

from .chaos.audit import audit
from .chaos.clients import Client
from .chaos.processes import people, visited
from .harness import Person, settings_for
from .test_metrics import free_port

LONG = 60.0
pytestmark = pytest.mark.skipif(os.name != "posix", reason="workers are found by /proc")


def children(pid: int) -> list[int]:
    """The processes that a supervisor has started to serve."""
    found = subprocess.run(["ps", "-ww", "--ppid", str(pid), "-o", "pid=,args="], capture_output=True, text=True)
    return [int(line.split()[0]) for line in found.stdout.splitlines() if "spawn_main" in line]


def wait_for_workers(pid: int, count: int, without: int = 0) -> list[int]:
    """Wait until so many workers run, of which none is `without`."""
    end = time.monotonic() + LONG
    while time.monotonic() < end:
        found = children(pid)
        if len(found) == count and without not in found:
            return found
        threading.Event().wait(0.05)
    raise AssertionError(children(pid))


@contextmanager
def command(data: Path, count: int) -> Iterator[tuple[subprocess.Popen[str], str]]:
    settings = settings_for(data)
    options = [f"--{name}={value}" for name, value in vars(settings).items() if name in ("database", "store") and value]
    arguments = [sys.executable, "-m", "pymdc", "bridge", "--data", str(data), "--port", "0", "--workers", str(count)]
    with subprocess.Popen([*arguments, *options], stdout=subprocess.PIPE, text=True) as running:
        assert running.stdout is not None
        try:
            yield running, next(re.findall("http.*", line)[0] for line in running.stdout if "STORJ_BRIDGE" in line)
        finally:
            running.terminate()
            running.wait(LONG)


def test_a_worker_that_is_killed_under_load_is_started_again_and_nothing_is_lost(tmp_path: Path) -> None:
    (somebody,) = people(tmp_path, {}, 1)
    made: list[str] = []
    with command(tmp_path, 2) as (supervisor, url), visited(settings_for(tmp_path), url) as bridge:
        alice = Person(bridge, somebody.email, somebody.key)
        first, second = wait_for_workers(supervisor.pid, 2)
        stop = threading.Event()

        def work(number: int) -> None:
            while not stop.is_set():
                try:
                    with httpx.Client(base_url=url, timeout=LONG, trust_env=False) as http:
                        reply = http.send(alice.signed("POST", "/buckets", {"name": f"{number}"}))
                except httpx.TransportError:
                    continue  # its worker was killed, so the answer was lost
                reply.raise_for_status()
                made.append(reply.json()["id"])

        threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
        for thread in threads:
            thread.start()
        for victim, other in ((first, second), (second, 0)):
            os.kill(victim, signal.SIGKILL)
            wait_for_workers(supervisor.pid, 2, victim)
            before, end = len(made), time.monotonic() + LONG
            while len(made) < before + 20:
                assert time.monotonic() < end
                stop.wait(0.05)
            assert other in (0, *children(supervisor.pid))
        stop.set()
        for thread in threads:
            thread.join(LONG)
        with httpx.Client(base_url=url, timeout=LONG, trust_env=False) as http:
            listed = {item["id"] for item in http.get("/buckets", auth=alice.basic).json()}
        assert set(made) <= listed
        running = wait_for_workers(supervisor.pid, 2)
        supervisor.terminate()
        assert supervisor.wait(LONG) == 0
    assert all(not Path(f"/proc/{pid}").exists() for pid in running)


def wait_for_more(clients: list[Client]) -> None:
    """Wait until each client has sent and fetched some more files."""
    wanted = [(client, what, client.done[what] + 3) for client in clients for what in ("uploaded", "downloaded")]
    end = time.monotonic() + LONG
    while any(client.done[what] < count for client, what, count in wanted):
        assert time.monotonic() < end, [(client.done, client.wrong) for client in clients]
        threading.Event().wait(0.05)


def test_four_clients_lose_nothing_through_two_workers_of_which_one_is_killed(tmp_path: Path) -> None:
    owners, settings, over = people(tmp_path, {}, 4), settings_for(tmp_path), threading.Event()
    with command(tmp_path, 2) as (supervisor, url), ThreadPoolExecutor(4) as pool:
        victim, _ = wait_for_workers(supervisor.pid, 2)
        clients = [Client(settings, [url], owner, seed) for seed, owner in enumerate(owners)]
        working = [pool.submit(client.work, over) for client in clients]
        try:
            wait_for_more(clients)
            assert [client.done["unanswered"] for client in clients] == [0] * 4
            os.kill(victim, signal.SIGKILL)
            wait_for_workers(supervisor.pid, 2, victim)
            wait_for_more(clients)
        finally:
            over.set()
        for work in working:
            work.result()
        for client in clients:
            client.verify(url)
        assert audit(settings) == []
    assert [what for client in clients for what in client.wrong] == []


def test_workers_end_when_their_supervisor_is_killed(tmp_path: Path) -> None:
    with command(tmp_path, 2) as (supervisor, _):
        running = wait_for_workers(supervisor.pid, 2)
        supervisor.kill()
        end = time.monotonic() + LONG
        while any(Path(f"/proc/{pid}").exists() for pid in running):
            assert time.monotonic() < end
            threading.Event().wait(0.05)


def test_a_supervisor_in_this_process_starts_and_stops_its_workers(tmp_path: Path) -> None:
    lines: list[str] = []

    def echo(line: str) -> None:
        lines.append(line)
        if len(lines) == 3:
            assert httpx.get(f"{line.partition('=')[2]}/health", timeout=LONG, trust_env=False).status_code == 200
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        serve(Settings(tmp_path, port=0, workers=2), echo)
    assert lines[2].startswith("export STORJ_BRIDGE=http://127.0.0.1:")
    assert children(os.getpid()) == []


def pass_and_die(number: int, path: str, serving: threading.Event) -> None:
    """A worker that dies once, says what it was told, and then ends by SIGTERM."""
    note = Path(path)
    if not note.exists():
        note.write_text("died\n")
        raise SystemExit(1)

    def told(number: int, _: object) -> None:
        with note.open("a") as file:
            file.write(f"{signal.Signals(number).name}\n")

    signal.signal(signal.SIGHUP, told)
    serving.set()
    while True:
        signal.pause()


def test_dead_workers_are_started_again_and_a_signal_is_passed_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(workers, "_PAUSE_SECONDS", 0.1)
    note = tmp_path / "note"

    def greet() -> None:
        os.kill(os.getpid(), signal.SIGHUP)
        threading.Thread(target=stop).start()

    def stop() -> None:
        end = time.monotonic() + LONG
        while "SIGHUP" not in note.read_text() and time.monotonic() < end:
            threading.Event().wait(0.02)
        os.kill(os.getpid(), signal.SIGTERM)

    workers.supervise(1, pass_and_die, (str(note),), LONG, greet)
    assert note.read_text() == "died\nSIGHUP\n"
    assert "a worker has died" in caplog.text


@pytest.fixture
def _same_signals() -> Iterator[None]:
    before = signal.getsignal(signal.SIGHUP)
    yield
    signal.signal(signal.SIGHUP, before)


@pytest.mark.usefixtures("_same_signals")
def test_a_worker_serves_until_it_is_told_to_end(tmp_path: Path) -> None:
    metrics_port = free_port()
    listener, settings = server._bind(Settings(tmp_path, port=0, metrics_port=metrics_port - 1))
    serving = threading.Event()

    def use() -> None:
        assert serving.wait(LONG)
        assert "pymdc_bridge_requests_total" in httpx.get(f"http://127.0.0.1:{metrics_port}/metrics").text
        httpx.post(f"{settings.base_url}/users", json={"email": "a@example.com", "password": "ab" * 32}, timeout=LONG)
        os.kill(os.getpid(), signal.SIGINT)

    user = threading.Thread(target=use)
    user.start()
    with pytest.raises(KeyboardInterrupt):
        server._work(1, listener, settings, lambda: settings, serving)  # type: ignore[arg-type]
    user.join(LONG)


@pytest.mark.usefixtures("_same_signals")
def test_a_worker_follows_its_parent(monkeypatch: pytest.MonkeyPatch) -> None:
    ended = threading.Event()

    class Gone:
        def join(self) -> None: ...

    monkeypatch.setattr(multiprocessing, "parent_process", Gone)
    monkeypatch.setattr(os, "kill", lambda pid, number: ended.set())
    workers.end_with_parent()
    assert ended.wait(LONG)


def test_a_start_without_an_engine_is_reported_once(tmp_path: Path) -> None:
    (tmp_path / "shards").write_text("in the way")
    with pytest.raises(Exception, match="shards"), socket.socket():
        serve(Settings(tmp_path, port=0, workers=2))


def test_a_worker_that_never_began_needs_no_end() -> None:
    def make() -> SpawnProcess:
        raise AssertionError("it is not to begin")

    worker = workers._Worker(make)
    worker.tell(signal.SIGTERM)
    workers._stop([worker], 0.0)
    assert not worker.alive
