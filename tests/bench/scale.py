"""How far do bridges on one database go? Measured service times in a small queueing simulation.

First the costs are measured: what a signed request takes of the processors of the client, of the bridge and of
PostgreSQL, alone and in a batch, and how long a commit waits for the disk. Then the simulation says how many requests a
second one bridge and two bridges serve on this machine, and real bridges on PostgreSQL and S3 say how many it is. Then
it is asked about other machines. The pictures of `docs/scaling.md` are written by this script.

    python -m tests.bench.scale --pictures docs
"""

from __future__ import annotations

import argparse
import heapq
import itertools
import json
import math
import os
import random
import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from .. import engines
from ..bridge.chaos.processes import Process, people, visited
from ..bridge.harness import Person, run_sql, settings_for
from .bench_store import sending
from .load import Connection, signed, spread, syncs
from .racing import processor_seconds

BATCH = 128  # as in `pymdc/bridge/writer.py`
CLIENTS = 16


@dataclass(frozen=True)
class Costs:
    """What a signed request costs, in seconds of a processor, and a commit, in seconds of waiting for the disk."""

    client: float
    request: float  # of the bridge: parsing, verifying, replying
    batch: float  # of the bridge, for each transaction
    row: float  # of the database, for each request
    transaction: float  # of the database, for each transaction
    disk: float


REFERENCE = Costs(0.000035, 0.00018, 0.00033, 0.000025, 0.00022, 0.001)
"""Processor times as measured on 29 November 2026 on two cores, and a disk that syncs in a millisecond: what the
pictures are drawn for, unless told otherwise."""


class Clock:
    """The simulation's time, and what happens next."""

    def __init__(self) -> None:
        self.now = 0.0
        self._next: list[tuple[float, int, Callable[[], None]]] = []
        self._numbers = itertools.count()

    def after(self, seconds: float, event: Callable[[], None]) -> None:
        heapq.heappush(self._next, (self.now + seconds, next(self._numbers), event))

    def run(self, until: float) -> None:
        while self._next and self._next[0][0] < until:
            self.now, _, event = heapq.heappop(self._next)
            event()


class Processors:
    """So many processors, and the jobs that wait for one, first come, first served."""

    def __init__(self, clock: Clock, count: float) -> None:
        self._clock, self._free = clock, max(1, math.ceil(count))
        self._slowness = self._free / count  # a share of a processor is a slower one
        self._waiting: deque[tuple[float, Callable[[], None]]] = deque()
        self.used = 0.0

    def work(self, seconds: float, then: Callable[[], None]) -> None:
        self._waiting.append((seconds * self._slowness, then))
        self._start()

    def _start(self) -> None:
        while self._free and self._waiting:
            seconds, then = self._waiting.popleft()
            self._free -= 1
            self.used += seconds
            self._clock.after(seconds, lambda then=then: self._done(then))  # type: ignore[misc]

    def _done(self, then: Callable[[], None]) -> None:
        self._free += 1
        then()
        self._start()


class Interpreter:
    """A process of Python: one job at a time, however many processors there are."""

    def __init__(self, machine: Processors) -> None:
        self._machine = machine
        self._waiting: deque[tuple[float, Callable[[], None]]] = deque()
        self._busy = False

    def work(self, seconds: float, then: Callable[[], None]) -> None:
        self._waiting.append((seconds, then))
        self._start()

    def _start(self) -> None:
        if not self._busy and self._waiting:
            self._busy = True
            seconds, then = self._waiting.popleft()
            self._machine.work(seconds, lambda: self._done(then))

    def _done(self, then: Callable[[], None]) -> None:
        self._busy = False
        then()
        self._start()


class Bridge:
    """A bridge: its process, and the writer that commits all that wait.

    Half of the work of a request, and of a batch, comes before the commit, and half comes after it.
    """

    def __init__(self, clock: Clock, costs: Costs, own: Processors | Interpreter, database: Processors) -> None:
        self._clock, self._costs, self._own, self._database = clock, costs, own, database
        self._waiting: list[Callable[[], None]] = []
        self._busy = False
        self.batches = 0

    def serve(self, done: Callable[[], None]) -> None:
        half = self._costs.request / 2
        self._own.work(half, lambda: self._wait(lambda: self._own.work(half, done)))

    def _wait(self, done: Callable[[], None]) -> None:
        self._waiting.append(done)
        self._commit()

    def _commit(self) -> None:
        if self._busy or not self._waiting:
            return
        self._busy, batch, self._waiting = True, self._waiting[:BATCH], self._waiting[BATCH:]
        self.batches += 1
        half, at_database = self._costs.batch / 2, self._costs.transaction + self._costs.row * len(batch)

        def commit() -> None:
            self._database.work(at_database, lambda: self._clock.after(self._costs.disk, answer))

        def answer() -> None:
            self._own.work(half, answered)

        def answered() -> None:
            self._busy = False
            for done in batch:
                done()
            self._commit()

        self._own.work(half, commit)


@dataclass(frozen=True)
class Result:
    """What came of a simulation: requests a second, and the time that 95 of 100 take at most."""

    throughput: float
    p95: float
    bridge: float  # how busy the bridges' processors are, from 0 to 1
    database: float


def closed(costs: Costs, bridges: int, clients: int, cores: float, seconds: float = 20.0, seed: int = 1) -> float:
    """Requests a second where all is on one machine, and each client sends its next request after the reply."""
    clock, choose = Clock(), random.Random(seed)
    machine = Processors(clock, cores)
    client = Interpreter(machine)
    each = [Bridge(clock, costs, Interpreter(machine), machine) for _ in range(bridges)]
    served = [0]

    def send(bridge: Bridge) -> None:
        client.work(costs.client * choose.uniform(0.5, 1.5), lambda: bridge.serve(lambda: answered(bridge)))

    def answered(bridge: Bridge) -> None:
        served[0] += 1
        send(bridge)

    for number in range(clients):
        send(each[number % bridges])
    clock.run(seconds)
    return served[0] / seconds


def opened(
    costs: Costs, rate: float, bridges: int, databases: int, cores: int = 4, seconds: float = 4.0, seed: int = 1
) -> Result:
    """Requests that come by themselves at a rate, where each bridge has a processor and each database a machine."""
    clock, choose = Clock(), random.Random(seed)
    at_databases = [Processors(clock, cores) for _ in range(databases)]
    own = [Processors(clock, 1) for _ in range(bridges)]
    each = [Bridge(clock, costs, own[n], at_databases[n % databases]) for n in range(bridges)]
    took: list[float] = []

    def arrive() -> None:
        came = clock.now
        each[choose.randrange(bridges)].serve(lambda: took.append(clock.now - came))
        clock.after(choose.expovariate(rate), arrive)

    arrive()
    clock.run(seconds)
    took.sort()
    p95 = took[int(len(took) * 0.95)] if took else math.inf
    busy = [sum(one.used for one in some) / seconds for some in (own, at_databases)]
    return Result(len(took) / seconds, p95, busy[0] / bridges, busy[1] / databases / cores)


def enough_bridges(costs: Costs, rate: float, databases: int) -> int:
    """How many bridges serve a rate with 95 of 100 replies within 50 ms."""
    return next(n for n in (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 64) if _serves(opened(costs, rate, n, databases), rate))


def _serves(result: Result, rate: float) -> bool:
    return result.throughput > 0.9 * rate and result.p95 < 0.05


# Measuring.


def family(pid: int) -> list[int]:
    """A process and all that it started."""
    found = [pid]
    for task in Path(f"/proc/{pid}/task").iterdir():
        for child in (task / "children").read_text().split():
            found += family(int(child))
    return found


@contextmanager
def real(bridges: int) -> Iterator[tuple[Person, list[Process], int, str]]:
    """Bridges on PostgreSQL and S3 with somebody who has an account; also the server's process and the URL."""
    with ExitStack() as stack:
        server = stack.enter_context(engines.postgresql(durable=True))
        chosen = {"database": server.create("scale")}
        run_sql(chosen["database"], "ALTER DATABASE scale SET track_wal_io_timing = on")
        s3 = stack.enter_context(engines.s3())
        os.environ.update(s3.environment)
        chosen["store"] = s3.create("scale")
        data = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        (somebody,) = people(data, chosen, 1)
        processes = [Process(data, chosen) for _ in range(bridges)]
        for process in processes:
            stack.enter_context(process.serving())
        bridge = stack.enter_context(visited(settings_for(data, **chosen), processes[0].url))
        postmaster = int((server.folder / "data" / "postmaster.pid").read_text().split()[0])
        yield Person(bridge, somebody.email, somebody.key), processes, postmaster, chosen["database"]


def prepared(person: Person, bridges: int, count: int) -> list[list[bytes]]:
    """Signed requests for each of the bridges."""
    requests = signed(person, count)
    return [requests[number::bridges] for number in range(bridges)]


def load(work: Sequence[list[bytes]], processes: Sequence[Process], clients: int) -> float:
    """Send requests to each of the bridges at once, and return how many a second are answered."""
    each = clients // len(processes)
    began = time.perf_counter()
    with ThreadPoolExecutor(len(processes)) as pool:
        for done in [
            pool.submit(spread, mine, each, process.port, Connection.request)
            for mine, process in zip(work, processes, strict=True)
        ]:
            done.result()
    return sum(map(len, work)) / (time.perf_counter() - began)


def journal(url: str) -> tuple[int, int, float]:
    """How many transactions have written to PostgreSQL, how often it synced its journal, and the seconds that took."""
    time.sleep(1.5)  # it counts syncs up once a second; from PostgreSQL 18 on, elsewhere
    query = "SELECT txid_snapshot_xmax(txid_current_snapshot()), wal_sync, wal_sync_time FROM pg_stat_wal"
    ((transactions, syncs, milliseconds),) = run_sql(url, query)
    return transactions, syncs, milliseconds / 1000


@dataclass(frozen=True)
class Used:
    """What a request took of each process, in seconds, how many shared a commit, how long a commit waited for the disk,
    and how many requests were served in a second."""

    client: float
    bridge: float
    database: float
    batch: float
    disk: float
    rate: float


def used(
    person: Person, processes: Sequence[Process], postmaster: int, url: str, count: int, clients: int = CLIENTS
) -> Used:
    """Send requests, and look what they take."""
    work = prepared(person, len(processes), count)
    parts = [[os.getpid()], [process.pid for process in processes], family(postmaster)]
    earlier, before = journal(url), [processor_seconds(pids) for pids in parts]
    rate = load(work, processes, clients)
    took = [processor_seconds(pids) - was for pids, was in zip(parts, before, strict=True)]
    transactions, synced, seconds = (now - was for now, was in zip(journal(url), earlier, strict=True))
    client, bridge, database = (each / count for each in took)
    disk = seconds / synced if synced else 1 / syncs()
    return Used(client, bridge, database, count / transactions, disk, rate)


def measure(count: int) -> dict[str, tuple[float, float]]:
    """Return, for one client and for sixteen, and for one bridge and two, the real rate and what the simulation says.

    The costs are those of one bridge, and the disk is that of each run. It takes all processors of the machine for
    ours: run it where little else runs, or before all else, by `chrt --rr 1`.
    """
    with real(1) as (person, processes, postmaster, url):
        load(prepared(person, 1, 400), processes, CLIENTS)
        alone = used(person, processes, postmaster, url, count // 2, 1)
        together = used(person, processes, postmaster, url, count)
    with real(2) as (person, processes, postmaster, url):
        load(prepared(person, 2, 400), processes, CLIENTS)
        two = used(person, processes, postmaster, url, count)
    request, batch = _parted(alone.bridge, together.bridge, together.batch)
    row, transaction = _parted(alone.database, together.database, together.batch)
    costs = Costs(together.client, request, batch, row, transaction, together.disk)
    print(alone, together, two, json.dumps(asdict(costs)), sep="\n")
    runs = {"1 client": (1, 1, alone), "1 bridge": (1, CLIENTS, together), "2 bridges": (2, CLIENTS, two)}
    cores = os.cpu_count() or 1
    return {
        name: (run.rate, closed(replace(costs, disk=run.disk), bridges, clients, cores))
        for name, (bridges, clients, run) in runs.items()
    }


def _parted(alone: float, together: float, batch: float) -> tuple[float, float]:
    """Part what a request costs into what it costs by itself, and what a transaction costs that some share."""
    shared = max(alone - together, 0.0) / (1 - 1 / max(batch, 1.01))
    return max(alone - shared, 1e-6), shared


# Pictures.


def picture(title: str, across: str, up: str, lines: dict[str, list[tuple[float, float]]]) -> str:
    """Draw lines over two logarithmic axes, as SVG."""
    points = [point for line in lines.values() for point in line]
    low_x, high_x = (math.log10(pick(x for x, _ in points)) for pick in (min, max))
    low_y, high_y = (math.log10(pick(y for _, y in points)) for pick in (min, max))
    low_y, high_y = math.floor(low_y), max(math.ceil(high_y), math.floor(low_y) + 1)

    def place(x: float, y: float) -> tuple[float, float]:
        return (
            70 + (math.log10(x) - low_x) / (high_x - low_x) * 480,
            340 - (math.log10(y) - low_y) / (high_y - low_y) * 280,
        )

    parts = [
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 760 400" font-family="sans-serif" font-size="13">',
        '<rect width="760" height="400" fill="white"/>',
        f'<text x="70" y="30" font-size="16">{title}</text>',
        f'<text x="310" y="390" text-anchor="middle">{across}</text>',
        f'<text x="18" y="200" text-anchor="middle" transform="rotate(-90 18 200)">{up}</text>',
    ]
    for power in range(math.ceil(low_x), math.floor(high_x) + 1):
        x, _ = place(10.0**power, 10.0**low_y)
        parts += [f'<line x1="{x:.0f}" y1="60" x2="{x:.0f}" y2="340" stroke="#ddd"/>',
                  f'<text x="{x:.0f}" y="360" text-anchor="middle">{10**power:,}</text>']  # fmt: skip
    for power in range(int(low_y), int(high_y) + 1):
        _, y = place(10.0**low_x, 10.0**power)
        parts += [f'<line x1="70" y1="{y:.0f}" x2="550" y2="{y:.0f}" stroke="#ddd"/>',
                  f'<text x="64" y="{y + 4:.0f}" text-anchor="end">{10.0**power:g}</text>']  # fmt: skip
    for number, (name, line) in enumerate(lines.items()):
        colour = ("#1f5fa8", "#c4521a", "#2c8a3d", "#7a3d9a", "#777")[number]
        width = 10 - 2.5 * number  # where two lines are the same, both are seen
        drawn = " ".join(f"{x:.1f},{y:.1f}" for x, y in (place(*point) for point in line))
        parts += [f'<polyline points="{drawn}" fill="none" stroke="{colour}" stroke-width="{width:.1f}"/>',
                  f'<text x="562" y="{80 + 22 * number}" fill="{colour}">{name}</text>']  # fmt: skip
    return "\n".join([*parts, "</svg>", ""])


RATES = (10.0, 30.0, 100.0, 300.0, 1000.0, 2000.0, 3000.0, 5000.0, 7000.0, 10_000.0)
SECONDS_PER_GB = {"by channel": 2.2, "by direct URL of a folder": 1.0}  # of a bridge's processor; of S3 nothing
POINTERS_PER_GB = 120 / 64  # one request for the pointers of a file of 64 MiB brings eight shards
LINK_GB = 1.25  # what a network of 10 Gbit/s carries in a second


def signed_requests(costs: Costs) -> str:
    """The curves of reply times over rates."""
    lines = {}
    for bridges, databases in ((1, 1), (4, 1), (16, 1), (16, 4)):
        name = f"{bridges} bridge{'s' * (bridges > 1)}, {databases} database{'s' * (databases > 1)}"
        results = [(rate, opened(costs, rate, bridges, databases)) for rate in RATES]
        lines[name] = [(rate, one.p95 * 1000) for rate, one in results if one.throughput > 0.8 * rate]
    return picture("Signed requests: 95 of 100 replies come within", "requests a second", "milliseconds", lines)


def downloads() -> str:
    """How many machines of four cores and 10 Gbit/s it takes to send so much."""
    rates = (1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0)
    lines: dict[str, list[tuple[float, float]]] = {
        name: [(rate, math.ceil(max(rate * seconds / 4, rate / LINK_GB))) for rate in rates]
        for name, seconds in SECONDS_PER_GB.items()
    }
    cost = REFERENCE.request + REFERENCE.batch
    lines["by presigned URL of S3"] = [(rate, math.ceil(rate * POINTERS_PER_GB * 8 * 2 * cost)) for rate in rates]
    return picture("Downloads: machines with bridges", "GB a second", "machines of 4 cores", lines)


def users() -> str:
    """What the database holds, by how busy its users are."""
    counts = (1e3, 1e4, 1e5, 1e6, 1e7)
    row, account, file = 230e-9, 900e-9, 600e-9  # GB, with indices
    lines = {
        "each signed 1,024 requests": [(n, n * (account + 1024 * row)) for n in counts],
        "and has 1,000 files": [(n, n * (account + 1024 * row + 1000 * file)) for n in counts],
        "each signed 20, 10 files": [(n, n * (account + 20 * row + 10 * file)) for n in counts],
    }
    return picture("Users: size of the database", "users", "GB", lines)


def main() -> None:
    arguments = argparse.ArgumentParser(description="How far do bridges on one database go?")
    arguments.add_argument("--requests", type=int, default=6000)
    arguments.add_argument("--pictures", type=Path, help="a folder for the pictures")
    arguments.add_argument("--costs", help="costs as JSON, instead of those of the reference")
    arguments.add_argument("--without-measuring", action="store_true")
    given = arguments.parse_args()
    costs = REFERENCE if given.costs is None else Costs(**json.loads(given.costs))
    if not given.without_measuring:
        for name, (rate, said) in measure(given.requests).items():
            print(f"{name}: {rate:.0f}/s, simulated {said:.0f}/s, {said / rate - 1:+.0%}")
        print(f"seconds of a bridge's processor for a GB: {sending()}")
    for rate in RATES:
        found = {f"{databases} databases": _count(costs, rate, databases) for databases in (1, 2, 4)}
        one = opened(costs, rate, 8, 1)
        print(f"{rate:6.0f}/s: bridges needed {found}; with 8 bridges: {asdict(one)}")
    if given.pictures is not None:
        drawn: dict[str, Any] = {"requests": signed_requests(costs), "downloads": downloads(), "users": users()}
        for name, text in drawn.items():
            (given.pictures / f"scaling-{name}.svg").write_text(text)


def _count(costs: Costs, rate: float, databases: int) -> str:
    try:
        return str(enough_bridges(costs, rate, databases))
    except StopIteration:
        return "-"


if __name__ == "__main__":
    main()
