"""The cells of the matrix: each call under each fault, in each mode, over plain TCP and over TLS.

By default one call, and one transport, is drawn for each fault. With `PYMDC_MATRIX=all` all are made. `PYMDC_SEED`
draws other calls, other moments and other bytes; the summary of a run says how many cells it had, and their seed.
"""

from __future__ import annotations

import gc
import os
import random
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from pymdc import config

from .calls import CALLS, CONTENT, DOWNLOADS, SECRETS
from .faults_of_farmers import DIRECT_SECRET, FARMERS
from .faults_of_replies import REPLIES
from .faults_of_roads import ROADS
from .modes import LATENESS, MODES, Fault, Moment
from .watch import Logs, memory_bound, nothing_left, words_of

SEED = int(os.environ.get("PYMDC_SEED", "1"))
ALL = os.environ.get("PYMDC_MATRIX") == "all"
FAULTS = [*ROADS, *REPLIES, *FARMERS]

_MORE_SECRETS = re.compile(r"(channel|bucket)-token-\d+|" + DIRECT_SECRET)  # those of the tests' own network


@dataclass(frozen=True)
class Cell:
    """One call under one fault; it is made in each mode."""

    fault: Fault
    call: str
    tls: bool

    def __str__(self) -> str:
        return f"{self.call}, {self.fault.name}, {'TLS' if self.tls else 'TCP'}"


def _cells() -> list[Cell]:
    chance = random.Random(SEED)
    cells = []
    for fault in FAULTS:
        names = DOWNLOADS if fault.only == "down" else list(CALLS)
        both = [Cell(fault, name, tls) for name in names for tls in fault.secure]
        cells += both if ALL else [chance.choice(both)]
    return cells


@pytest.fixture(scope="module", autouse=True)
def _around_all() -> Iterator[None]:
    """Take what is there already out of the garbage collector's way, which runs after many cells; watch the machine."""
    gc.collect()
    gc.freeze()
    with LATENESS:
        yield
    gc.unfreeze()


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch, _no_waiting: None) -> None:
    """Lower the size limits and the poll time, so that tests are fast."""
    monkeypatch.setattr(config, "MAX_REPLY_BYTES", 5 * 1024 * 1024)
    monkeypatch.setattr(config, "MAX_SHARD_BYTES", 4 * 1024 * 1024)
    monkeypatch.setattr(config, "POLL_SECONDS", 0.1)


@pytest.mark.parametrize("cell", _cells(), ids=str)
def test_each_call_keeps_its_contract_under_each_fault(
    cell: Cell, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    record_property("cells", len(MODES))
    record_property("seed", SEED)
    failures = []
    for mode in MODES:
        folder = tmp_path / mode
        folder.mkdir()
        try:
            _make(cell, mode, folder)
        except Exception as error:
            failures.append(f"{mode}: {type(error).__name__}: {str(error)[:2000]}")
    assert not failures, "\n".join(failures)


def _make(cell: Cell, mode: str, folder: Path) -> None:
    fault, call = cell.fault, CALLS[cell.call]
    chance = random.Random(f"{SEED} {cell} {mode}")
    stopped = mode in ("cancelled", "with its client closed")
    moment = Moment(chance, cell.tls, fault.patience if stopped else fault.timeout)
    with Logs() as logs, memory_bound(fault.mib), nothing_left(), fault.place(moment) as scene:
        values = MODES[mode](fault, call, scene, chance, folder)
        once = len(values)
        secrets = {
            *SECRETS,
            *(request.headers["x-signature"] for request in scene.asked if "x-signature" in request.headers),
        }
        scene.client.close()
    assert len(values) == once, "the callback was called again"
    _nothing_half(folder, values, mode == "with its client closed")
    for words in (*map(words_of, values), *logs.lines):
        _no_secret(words, secrets)


def _nothing_half(folder: Path, values: list[object], closed: bool) -> None:
    """Check that a file has its name only if it is whole, with at most the folder of an unfinished download beside it.

    When a client is closed, its calls are cancelled, but a file may already be complete.
    """
    names = {path.name for path in folder.iterdir() if not path.name.startswith(".pymdc-")} - {"up.bin"}
    whole = any(isinstance(value, dict) and "path" in value for value in values)
    assert names <= {"down.bin"}
    assert whole == bool(names) or (closed and not whole), names
    assert not names or (folder / "down.bin").read_bytes() == CONTENT


def _no_secret(words: str, secrets: set[str]) -> None:
    told = [secret for secret in secrets if secret in words] + [found[0] for found in _MORE_SECRETS.finditer(words)]
    assert not told, f"{told[0]!r} in {_around(words, told[0])}"


def _around(words: str, secret: str) -> str:
    place = words.index(secret)
    return words[max(place - 300, 0) : place + 100]
