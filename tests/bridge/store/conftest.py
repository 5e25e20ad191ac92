from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from pymdc.bridge.store import Store


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """A store on a real SQLite file, with one user in it."""
    store = Store(f"sqlite:///{tmp_path / 'bridge.sqlite'}")
    store.users.create("a@example.com", "kept", None, "activation", 1)
    yield store
    store.close()
