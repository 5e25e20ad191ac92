"""Fixtures for every test: no state of the tests before it, and nothing of the machine's own environment."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from typing import Any

import pytest

from pymdc import config
from pymdc.bridge import passwords
from pymdc.core import base_client, endpoints

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # A shell starts what runs in the background so, and the programs that the tests interrupt would inherit it.
    signal.signal(signal.SIGINT, signal.default_int_handler)


# A name server may lose a question, and the system asks again only after five seconds. Many tests look up names that do
# not exist, and nothing can stop a look-up.
os.environ.setdefault("RES_OPTIONS", "timeout:1 attempts:3")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Give each process tests that stand together: they share their bridges, and a process that is done takes some."""
    from xdist.scheduler import WorkStealingScheduling

    return WorkStealingScheduling(config, log)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say how large a part of the matrix ran, and with which outcome."""
    cells: dict[str, int] = {}
    seeds: set[object] = set()
    for outcome in ("passed", "failed"):
        for report in terminalreporter.getreports(outcome):
            told = dict(report.user_properties)
            if "cells" in told and report.when == "call":
                cells[outcome] = cells.get(outcome, 0) + told["cells"]
                seeds.add(told["seed"])
    if cells:
        words = ", ".join(f"{count} {outcome}" for outcome, count in cells.items())
        terminalreporter.write_line(f"cells of the matrix: {words}; PYMDC_SEED={', '.join(map(str, seeds))}")


@pytest.fixture(autouse=True, scope="session")
def real_password_cost() -> Iterator[int]:
    """What it costs a bridge to hash a password. The bridges in this process do it in a moment: a test run makes
    hundreds of accounts."""
    with pytest.MonkeyPatch.context() as patch:
        cost = passwords._COST
        patch.setattr(passwords, "_COST", 2)
        yield cost


@pytest.fixture(autouse=True)
def _clean_state(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each test starts without a default client, without settings, and without what would name a bridge or a proxy."""
    monkeypatch.setattr(base_client, "_default", None)
    monkeypatch.setattr(base_client, "_settings", {})
    monkeypatch.setattr(endpoints, "_warned", [])
    monkeypatch.delenv(config.ENDPOINT_VARIABLE, raising=False)
    for name in list(os.environ):
        if name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)


@pytest.fixture
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """A second attempt follows the first at once."""
    monkeypatch.setattr(config, "BACKOFF_SECONDS", 0.0)
