"""The health of a bridge, as a load balancer asks for it."""

from __future__ import annotations

import pytest

from pymdc.bridge.routes import health

from ..harness import Running


def statuses(bridge: Running) -> dict[str, int]:
    return {path: bridge.http.get(path).status_code for path in ("/health/live", "/health/ready", "/health")}


def test_a_bridge_whose_engines_answer_is_healthy(own_bridge: Running) -> None:
    assert set(statuses(own_bridge).values()) == {200}
    assert own_bridge.http.get("/health/ready").json() == {"status": "ok"}


def test_a_process_lives_while_its_engines_are_away(own_bridge: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "READY_SECONDS", 0.0)
    with own_bridge.without_store():
        assert statuses(own_bridge) == {"/health/live": 200, "/health/ready": 503, "/health": 503}
    assert set(statuses(own_bridge).values()) == {200}


def test_the_engines_are_not_asked_at_every_request_for_readiness(
    own_bridge: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(health, "READY_SECONDS", 60.0)
    assert own_bridge.http.get("/health/ready").status_code == 200
    with own_bridge.without_store():
        assert own_bridge.http.get("/health/ready").status_code == 200
