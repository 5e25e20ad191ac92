"""Fixtures for the tests of the command: a bridge, a folder of profiles, and a way to type."""

from __future__ import annotations

from pathlib import Path

import pytest

from ..bridges import RunningBridge
from ..bridges import bridge as bridge
from ..bridges import client as client
from .typist import Typist


@pytest.fixture
def typist(bridge: RunningBridge, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Typist:
    """Somebody who types commands to the bridge, with a folder of profiles of their own."""
    for name in ("STORJ_BRIDGE", "STORJ_BRIDGE_USER", "STORJ_BRIDGE_PASS", "PYMDC_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PYMDC_CONFIG", str(tmp_path / "config"))
    return Typist(bridge, tmp_path)


@pytest.fixture
def member(typist: Typist) -> Typist:
    """Somebody who has logged in."""
    typist.join()
    return typist
