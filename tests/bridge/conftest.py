"""Bridges for these tests: real ones, on real sockets."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme

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


@pytest.fixture
def authority(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> trustme.CA:
    """A certificate authority that this machine trusts."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "authority.pem"))
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "authority.pem"))
    return authority
