from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from pymdc.bridge.store import Accepted, Claim, Replayed, Stale, Store, comparable

from ..harness import settings_for

USER = "a@example.com"
POINTS = {USER: "02" * 33, "b@example.com": "03" * 33}


def accept(store: Store, requests: Sequence[tuple[float, str]], email: str = USER) -> list[bool]:
    """Accept requests with such nonces and signatures in one transaction, and tell which were accepted."""
    acceptance = store.acceptance()
    claims = [Claim(POINTS[email], signature, comparable(nonce)) for nonce, signature in requests]
    outcomes = acceptance.accept(claims)
    acceptance.tidy()
    acceptance.close()
    assert all(isinstance(outcome, Accepted | Replayed | Stale) for outcome in outcomes), outcomes
    return [isinstance(outcome, Accepted) for outcome in outcomes]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """A store on a real database, with one user in it."""
    store = Store(settings_for(tmp_path).database_url)
    store.users.create("a@example.com", "kept", None, "activation", 1)
    yield store
    store.close()
