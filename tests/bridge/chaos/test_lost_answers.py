"""Every write of a bridge, interrupted at every exchange with its database: the question is lost, the answer is lost,
the database is away from then on, or the process is killed. What was acknowledged must hold, and nothing may be broken.

Each run takes some of the moments. With `PYMDC_LARGE` set it takes all of them.
"""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from anyio.from_thread import start_blocking_portal

from pymdc.bridge import upload
from pymdc.bridge.errors import Unavailable
from pymdc.bridge.settings import Settings
from pymdc.bridge.store import Store, database

from ...engines import postgres_folder, shared_postgresql
from ..harness import cleaned, settings_for
from .audit import audit
from .dying import SHARD_BYTES
from .faults import KINDS, Plan, Proxy, failing_connection
from .operations import AFTER, OPERATIONS, Promises, World, clean_the_rest

ROOT = Path(__file__).parents[3]
LARGE = "PYMDC_LARGE" in os.environ
pytestmark = pytest.mark.timeout(3600 if LARGE else 300)
ENGINES = ["sqlite", pytest.param("postgresql", marks=pytest.mark.slow)]


class Trial:
    """A world under a plan, whose bridge runs, and the settings that lead to its database without faults."""

    def __init__(self, direct: Settings, faulty: Settings, plan: Plan) -> None:
        self.direct = direct
        self.plan = plan
        self.promises = Promises()
        self.world = World(faulty, plan, self.promises.note)

    @contextmanager
    def running(self) -> Iterator[Trial]:
        with (
            start_blocking_portal() as self._portal,
            self._portal.wrap_async_context_manager(self.world.bridge()) as self._run,
        ):
            yield self

    def run(self, name: str) -> None:
        """Run an operation, and look whether all promises hold."""
        self._portal.call(self._run, OPERATIONS[name])
        self.look(name)

    def look(self, name: str) -> None:
        """Look whether all promises hold after an operation."""
        if name in AFTER:
            self._portal.call(self._run, AFTER[name])
        assert self.promises.broken(self.direct) == []
        assert audit(self.direct) == []

    def clean(self) -> None:
        """Clean up, and look whether that leaves nothing behind and takes nothing away."""
        self._portal.call(self._run, clean_the_rest)
        self._look_clean()

    def finish(self) -> None:
        """Look the same after a clean-up by another bridge."""
        cleaned(self.direct)
        self._look_clean()

    def _look_clean(self) -> None:
        assert audit(self.direct, clean=True) == []
        assert self.promises.broken(self.direct) == []


@pytest.fixture(params=ENGINES)
def trial(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Trial]:
    """A trial on each engine."""
    monkeypatch.setattr(upload, "SHARD_BYTES", SHARD_BYTES)
    plan = Plan()
    if request.param == "sqlite":
        monkeypatch.setitem(database._ARGUMENTS, "sqlite", {"factory": failing_connection(plan)})
        settings = settings_for(tmp_path, database=None, store=None)
        with Trial(settings, settings, plan).running() as trial:
            yield trial
        return
    if postgres_folder() is None:
        pytest.skip("needs PostgreSQL")
    server = shared_postgresql()
    direct = settings_for(tmp_path, database=server.create(f"trial{abs(hash(tmp_path))}"), store=None)
    with closing(Proxy(plan, server.port)) as proxy:
        through = direct.database_url.replace(f":{server.port}/", f":{proxy.port}/")
        with Trial(direct, settings_for(tmp_path, database=through, store=None), plan).running() as trial:
            yield trial


@pytest.mark.parametrize(("place", "name"), list(enumerate(OPERATIONS)))
def test_a_fault_at_any_exchange_with_the_database_breaks_no_promise(trial: Trial, place: int, name: str) -> None:
    met: Counter[str] = Counter()
    for other, kind in enumerate(KINDS):
        missed = 0  # in a row: now and then something that is due is done meanwhile, and takes some of the numbers
        for number in range(1, 1000) if LARGE else [1 + (5 * place + 3 * other) % 8]:
            trial.plan.set(kind, number)
            trial.run(name)
            met[kind] += trial.plan.met
            missed = 0 if trial.plan.met else missed + 1
            if missed == 3:
                break
    trial.finish()
    assert set(met) == set(KINDS)
    print(name, dict(met))


def test_an_upload_whose_commit_is_not_answered_keeps_its_blobs(trial: Trial) -> None:
    for number in itertools.count(1):
        trial.plan.set("answer lost", number)
        trial.run("new_file")
        if not trial.plan.met:
            break
    trial.finish()
    assert number > 8


class Mortal:
    """A process whose children run operations and are killed."""

    def __init__(self, trial: Trial, engines: dict[str, Any]) -> None:
        world = trial.world
        told = {
            "data": str(trial.direct.data), "engines": engines, "email": world.email, "bucket": world.bucket,
            "key": world.key.get_private_key(),
        }  # fmt: skip
        command = [sys.executable, "-m", "tests.bridge.chaos.dying", json.dumps(told)]
        self._process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self._note = world.note

    def killed(self, operation: str, moment: int) -> bool:
        """Run an operation in a process that dies at a moment. Tell whether it came to that."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        print(json.dumps([operation, moment]), file=self._process.stdin, flush=True)
        for line in self._process.stdout:
            event, *about = json.loads(line)
            if event == "over":
                return bool(about[0])
            self._note(event, *about)
        raise AssertionError("the process ended by itself")

    def close(self) -> None:
        with self._process as process:
            assert process.stdin is not None
            process.stdin.close()
            assert process.wait(60) == 0


# All moments of one operation are a trial of their own: what is there stays little, and processes can share the work.
@pytest.mark.parametrize("names", [[name] for name in OPERATIONS] if LARGE else [list(OPERATIONS)], ids=" ".join)
def test_a_process_killed_at_any_moment_breaks_no_promise(trial: Trial, names: list[str]) -> None:
    killed = 0
    engines = {"database": trial.direct.database, "store": None}
    with closing(Mortal(trial, engines)) as mortal:
        for place, name in enumerate(names):
            for moment in range(1, 1000) if LARGE else [1 + 7 * place % 12, 20 + 5 * place % 12]:
                died = mortal.killed(name, moment)
                trial.look(name)
                trial.clean()
                if not died:
                    break
                killed += 1
    trial.finish()
    assert killed
    print(f"{' '.join(names)}: {killed} kills")


def test_a_fault_while_the_tables_are_made_is_made_good_by_the_next_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = Plan()
    monkeypatch.setitem(database._ARGUMENTS, "sqlite", {"factory": failing_connection(plan)})
    for kind in KINDS:
        for number in itertools.count(1, 1 if LARGE else 20):
            url = f"sqlite:///{tmp_path / f'{kind} {number}.sqlite'}"
            plan.set(kind, number)
            with plan.armed():
                opened(url)
            assert opened(url)
            if not plan.met:
                break


def opened(url: str) -> bool:
    try:
        store = Store(url)
    except Unavailable:
        return False
    with closing(store):
        store.check()
        return True
