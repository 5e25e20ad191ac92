from __future__ import annotations

import asyncio
import shutil
import signal
import subprocess
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest

from pymdc.bridge.errors import Refused, Unavailable
from pymdc.bridge.store import Acceptance, Accepted, Claim, Nonce, User
from pymdc.bridge.writer import Writer

from .. import engines
from .chaos.processes import Process, people, visited
from .harness import Person, running, settings_for

CLAIM = Claim("point", "signature", Nonce(True, 1.0))


class Scripted(Acceptance):
    """Notes the batches, and answers them once the test lets it."""

    def __init__(self, outcome: Accepted | Refused | None = None) -> None:
        self.batches: list[int] = []
        self.entered, self.go = threading.Event(), threading.Event()
        self.closed, self.refusing = False, False
        self.outcome = outcome or Accepted(User("a", 1, activated=True))

    def accept(self, claims: Sequence[Claim]) -> list[Accepted | Refused]:
        self.batches.append(len(claims))
        self.entered.set()
        assert self.go.wait(60)
        return [self.outcome] * len(claims)

    def tidy(self) -> None:
        if self.refusing:
            raise Unavailable("away")

    def close(self) -> None:
        self.closed = True


async def first_then(writer: Writer, scripted: Scripted, more: int) -> list[asyncio.Task[Accepted]]:
    """Send a request, and some more while it is being committed."""
    tasks = [asyncio.create_task(writer.accept(CLAIM))]
    await asyncio.to_thread(scripted.entered.wait, 60)
    tasks += [asyncio.create_task(writer.accept(CLAIM)) for _ in range(more)]
    await asyncio.sleep(0)
    return tasks


def test_requests_that_wait_meanwhile_are_committed_together() -> None:
    scripted = Scripted()

    async def run() -> None:
        writer = Writer(scripted)
        tasks = await first_then(writer, scripted, 300)
        scripted.go.set()
        assert len(await asyncio.gather(*tasks)) == 301
        writer.close()
        writer.close()

    asyncio.run(run())
    assert scripted.batches == [1, 128, 128, 44]
    assert scripted.closed


def test_a_cancelled_request_is_not_accepted_and_harms_nobody() -> None:
    scripted = Scripted()

    async def run() -> None:
        writer = Writer(scripted)
        tasks = await first_then(writer, scripted, 3)
        for task in tasks[:2]:
            task.cancel()
        await asyncio.sleep(0)
        scripted.go.set()
        assert len(await asyncio.gather(*tasks[2:])) == 2
        writer.close()

    asyncio.run(run())
    assert scripted.batches == [1, 2]


def test_a_batch_whose_requests_were_all_cancelled_is_left_out() -> None:
    scripted = Scripted()

    async def run() -> None:
        writer = Writer(scripted)
        tasks = await first_then(writer, scripted, 2)
        for task in tasks[1:]:
            task.cancel()
        await asyncio.sleep(0)
        scripted.go.set()
        await tasks[0]
        writer.close()

    asyncio.run(run())
    assert scripted.batches == [1]


def test_a_refusal_is_raised() -> None:
    async def run() -> None:
        scripted = Scripted(Refused(401, "no"))
        scripted.go.set()
        writer = Writer(scripted)
        with pytest.raises(Refused, match=r"^no$"):
            await writer.accept(CLAIM)
        writer.close()

    asyncio.run(run())


def test_a_closed_writer_answers_waiting_requests_and_takes_no_more() -> None:
    scripted = Scripted()

    async def run() -> None:
        writer = Writer(scripted)
        tasks = await first_then(writer, scripted, 5)
        scripted.go.set()
        await asyncio.to_thread(writer.close)
        assert len(await asyncio.gather(*tasks)) == 6
        with pytest.raises(Unavailable, match="stopping"):
            await writer.accept(CLAIM)

    asyncio.run(run())


def test_tidying_up_that_fails_is_put_off(caplog: pytest.LogCaptureFixture) -> None:
    async def run() -> None:
        scripted = Scripted()
        scripted.refusing = True
        scripted.go.set()
        writer = Writer(scripted)
        for _ in range(2):
            await writer.accept(CLAIM)
        writer.close()

    asyncio.run(run())
    assert caplog.text.count("old nonces could not be deleted: away") == 2


@pytest.mark.parametrize(
    "engine",
    [
        "sqlite",
        pytest.param(
            "postgresql", marks=pytest.mark.skipif(engines.postgres_folder() is None, reason="PostgreSQL is missing")
        ),
    ],
)
def test_of_a_request_that_is_sent_to_two_bridges_three_times_one_is_accepted(tmp_path: Path, engine: str) -> None:
    chosen = {}
    if engine == "postgresql":
        chosen["database"] = engines.shared_postgresql().create(f"twobridges{abs(hash(tmp_path))}")
    with ExitStack() as stack:
        first, second = (stack.enter_context(running(tmp_path, **chosen)) for _ in range(2))
        alice = first.person()
        requests = [alice.signed("GET", "/buckets") for _ in range(300)]
        ports = [httpx.URL(bridge.thread.url).port for bridge in (first, second)]

        def send(number: int) -> int:
            request = requests[number // 3]
            url = request.url.copy_with(port=ports[number % 2])
            return first.http.send(httpx.Request("GET", url, headers=request.headers)).status_code

        with ThreadPoolExecutor(16) as pool:
            codes = list(pool.map(send, range(900)))
    assert [sorted(codes[start : start + 3]) for start in range(0, 900, 3)] == [[200, 401, 401]] * 300


def test_a_signed_request_is_answered_after_it_is_on_the_disk(tmp_path: Path) -> None:
    if shutil.which("strace") is None:
        pytest.skip("strace is not installed")
    simple = {"database": None, "store": None}  # SQLite: a server does so by itself
    (somebody,) = people(tmp_path, simple, 1)
    process = Process(tmp_path, {})
    trace = tmp_path / "trace"
    with process.serving(), visited(settings_for(tmp_path, **simple), process.url) as bridge:
        alice = Person(bridge, somebody.email, somebody.key)
        alice.send("GET", "/buckets").raise_for_status()
        calls = "trace=fsync,fdatasync,sendto,sendmsg,write,pwrite64"
        command = ["strace", "-f", "-y", "-e", calls, "-o", str(trace), "-p", str(process.pid)]
        with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as tracer:
            assert tracer.stderr is not None
            if "attached" not in (line := tracer.stderr.readline()):
                tracer.kill()
                pytest.skip(f"strace may not look: {line}")
            alice.send("GET", "/buckets").raise_for_status()
            tracer.send_signal(signal.SIGINT)
            tracer.stderr.read()
    order = [kind for line in trace.read_text().splitlines() if (kind := _kind(line))]
    assert order[0] == "write"
    assert order[-2:] == ["sync", "reply"], order


def _kind(line: str) -> str | None:
    if "bridge.sqlite-wal" in line:
        return "sync" if "sync(" in line else "write"
    return "reply" if '"HTTP/1.1 200' in line else None
