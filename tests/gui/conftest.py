"""A screen for the windows, and what the tests of the example programs begin with."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from .account import Account, account_on
from .person import MODULES
from .programs import python_with
from .screen import SIZES, Screen, desktop, x_server


@pytest.fixture(scope="session")
def display() -> Iterator[str]:
    """Run an X server whose screen is in memory; give its name, for `DISPLAY`."""
    with x_server() as screen:
        yield screen.display


@pytest.fixture(params=sorted(MODULES))
def toolkit(request: pytest.FixtureRequest) -> str:
    python_with(MODULES[request.param])
    return str(request.param)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    made = tmp_path / "home"
    made.mkdir()
    return made


@pytest.fixture
def usual() -> Iterator[Screen]:
    with desktop(*SIZES["usual"]) as screen:
        yield screen


@pytest.fixture
def account(tmp_path: Path) -> Iterator[Account]:
    with account_on(tmp_path / "bridge") as account:
        yield account
