"""A screen for the windows."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from .screen import x_server


@pytest.fixture(scope="session")
def display() -> Iterator[str]:
    """Run an X server whose screen is in memory; give its name, for `DISPLAY`."""
    with x_server() as screen:
        yield screen.display
