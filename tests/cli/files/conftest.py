"""Fixtures for the tests of the commands about files."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from pymdc import Client

from ...bridges import RunningBridge
from .holder import Holder


@pytest.fixture
def holder(bridge: RunningBridge, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Holder]:
    """Somebody who has an account. Their folder is the one that commands run in."""
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    with Client(bridge.url) as client:
        yield Holder(bridge, client, tmp_path / "here")
