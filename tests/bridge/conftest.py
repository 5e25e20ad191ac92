"""Bridges for these tests: real ones, on real sockets."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from .harness import Running, running


@pytest.fixture(scope="package")
def bridge(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A bridge that many tests share: each makes users of its own."""
    with running(tmp_path_factory.mktemp("bridge")) as bridge:
        yield bridge


@pytest.fixture
def own_bridge(tmp_path: Path) -> Iterator[Running]:
    """A bridge that belongs to one test."""
    with running(tmp_path) as bridge:
        yield bridge
