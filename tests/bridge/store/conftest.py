from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from pymdc.bridge.store import Store

from ..harness import settings_for


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """A store on a real database, with one user in it."""
    store = Store(settings_for(tmp_path).database_url)
    store.users.create("a@example.com", "kept", None, "activation", 1)
    yield store
    store.close()
