"""Signed requests to a bridge, beside what the machine does without one.

`GET /buckets`, on SQLite and on PostgreSQL, beside a plain Starlette reply under the same uvicorn. The clients run in
this process, the servers have processes of their own. All requests of a run are signed before it begins.
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from ecdsa import SECP256k1, VerifyingKey
from ecdsa.util import sigdecode_der

from pymdc.bridge import curve
from pymdc.keypair import ECDSA

from .. import engines
from ..bridge.chaos.processes import Process, people, visited
from ..bridge.harness import Person, settings_for
from .load import Connection, get, signed, spread, sync_pages
from .racing import Line, Race, Way, per_second, processor_of

REQUESTS = {1: 400, 16: 1600}  # of a run, by the number of clients; so the second signs 1,600 requests ahead
AIMS = {
    ("SQLite", 1): 0.12,
    ("SQLite", 16): 0.2,
    # Three and five times what the first release did: 756 of 13,300 and 1,720 of 18,300 plain replies a second.
    ("PostgreSQL", 1): 0.057,
    ("PostgreSQL", 16): 0.094,
}
PLAIN = """
import socket, uvicorn
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route

async def reply(request):
    return JSONResponse([])
app = Starlette(routes=[Route("/buckets", reply)])
listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
listener.bind(("127.0.0.1", 0))
listener.listen(100)
print(listener.getsockname()[1], flush=True)
uvicorn.Server(uvicorn.Config(app, http="httptools", log_config=None, access_log=False)).run(sockets=[listener])
"""


@contextmanager
def plain_server() -> Iterator[tuple[int, int]]:
    """Run a server that gives a plain reply, and give its port and its process's number."""
    with subprocess.Popen([sys.executable, "-c", PLAIN], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield int(process.stdout.readline()), process.pid
        finally:
            process.terminate()


@contextmanager
def bridge_on(data: Path, chosen: dict[str, str]) -> Iterator[tuple[Person, Process]]:
    """Run a bridge in a process of its own, with somebody who has an account."""
    (somebody,) = people(data, chosen, 1)
    process = Process(data, chosen)
    with process.serving(), visited(settings_for(data, **chosen), process.url) as bridge:
        yield Person(bridge, somebody.email, somebody.key), process


def on_sqlite(seconds: float) -> Iterator[Line]:
    """Signatures, and signed requests on SQLite."""
    yield from _signatures(seconds / 8)
    with tempfile.TemporaryDirectory() as name, bridge_on(Path(name), {}) as (person, process):
        yield from _requests("SQLite", person, process, seconds * 7 / 8)


def on_postgresql(seconds: float) -> Iterator[Line]:
    """Signed requests on PostgreSQL."""
    if engines.postgres_folder() is None:
        return
    with (
        tempfile.TemporaryDirectory() as name,
        engines.postgresql(durable=True) as server,
        bridge_on(Path(name), {"database": server.create("bench")}) as (person, process),
    ):
        yield from _requests("PostgreSQL", person, process, seconds)


def unsigned(count: int) -> list[bytes]:
    return [get("/buckets", {})] * count


def _requests(engine: str, person: Person, process: Process, seconds: float) -> Iterator[Line]:
    with plain_server() as (plain, pid):
        for clients, count in REQUESTS.items():
            figure, many = per_second(count), f"{clients} client{'s' * (clients > 1)}"

            def sent(port: int, work: list[bytes], clients: int = clients) -> None:
                spread(work, clients, port, Connection.request)

            ours, theirs = partial(signed, person, count), partial(unsigned, count)
            ways = [
                Way("bridge", partial(sent, process.port), figure, ours, processor_of(process.pid)),
                Way("plain reply", partial(sent, plain), figure, theirs, processor_of(pid)),
                Way("sync of a page", lambda _, count=count: sync_pages(count), figure),  # type: ignore[misc]
            ]
            race = Race(ways, seconds / 2)
            yield race.line(f"signed GET, {engine}, {many}", "bridge", "plain reply", AIMS[engine, clients])
            yield race.line(f"signed GET, {engine}, {many}", "bridge", "sync of a page")


def _signatures(seconds: float, count: int = 100) -> Iterator[Line]:
    pair = ECDSA()
    text, key = pair.sign("message"), pair.get_public_key()
    parsed, public = curve.parse_signature(text), VerifyingKey.from_string(bytes.fromhex(key), SECP256k1)
    assert parsed is not None

    def by_the_bridge(_: object) -> None:
        assert all(curve.verify(key, parsed, b"message") for _ in range(count))

    def by_ecdsa(_: object) -> None:
        signature = bytes.fromhex(text)
        assert all(
            public.verify(signature, b"message", hashlib.sha256, sigdecode=sigdecode_der) for _ in range(count // 10)
        )

    bridge, ecdsa = per_second(count), per_second(count // 10)
    race = Race([Way("bridge", by_the_bridge, bridge), Way("a tenth by ecdsa", by_ecdsa, ecdsa)], seconds)
    yield race.line("100 signatures verified", "bridge", "a tenth by ecdsa")
