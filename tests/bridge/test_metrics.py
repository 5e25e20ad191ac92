"""The metrics for Prometheus: requests, running work, and the state of the engines."""

from __future__ import annotations

import socket
from pathlib import Path

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from pymdc.bridge.server import BridgeThread
from pymdc.bridge.settings import Settings

from .harness import Running, running


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return int(free.getsockname()[1])


def figures(bridge: Running) -> dict[tuple[str, ...], float]:
    """Return each sample: its name and the values of its labels."""
    text = httpx.get(f"http://127.0.0.1:{bridge.settings.metrics_port}/metrics").raise_for_status().text
    samples = [sample for family in text_string_to_metric_families(text) for sample in family.samples]
    return {(sample.name.removeprefix("pymdc_bridge_"), *sample.labels.values()): sample.value for sample in samples}


def test_requests_are_counted_by_the_pattern_of_their_route(tmp_path: Path) -> None:
    with running(tmp_path, metrics_port=free_port()) as bridge:
        alice = bridge.person()
        bucket = alice.bucket()
        alice.upload(bucket, b"data")
        assert bridge.http.get(f"/buckets/{bucket}").status_code == 401
        assert bridge.http.get("/no/such/path").status_code == 404
        counted = figures(bridge)
    assert counted["requests_total", "PUT", "/buckets/{id}/files", "200"] == 1
    assert counted["requests_total", "GET", "/buckets/{id}", "401"] == 1
    assert counted["requests_total", "other", "other", "404"] == 1
    assert counted["request_seconds_count", "PUT", "/buckets/{id}/files"] == 1
    assert counted["bytes_total", "received"] > len(b"data")
    assert counted["bytes_total", "sent"] > 0
    assert not any(bucket in name for sample in counted for name in sample)


def test_the_metrics_show_running_work_and_the_state_of_the_engines(tmp_path: Path) -> None:
    with running(tmp_path, metrics_port=free_port()) as bridge:
        before = figures(bridge)
        with bridge.without_store():
            assert bridge.http.get("/health").status_code == 503
            without = figures(bridge)
        assert bridge.http.get("/health").status_code == 200
        after = figures(bridge)
    for name in ("requests_under_way", "downloads_under_way", "uploads_under_way", "uploads_waiting"):
        assert before[name,] == 0
    assert before["signed_requests_waiting",] == 0
    assert 0 <= before["clean_up_age_seconds",] < 60
    assert [each["engine_away", "store"] for each in (before, without, after)] == [0, 1, 0]
    assert without["engine_errors_total", "store"] > before["engine_errors_total", "store"]
    assert without["engine_errors_total", "database"] == 0


def test_a_taken_port_for_the_metrics_is_named(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(OSError, match=f"the metrics cannot be served on port {port} of 127.0.0.1"):
            BridgeThread(Settings(tmp_path, port=0, metrics_port=port)).start()


def test_there_are_no_metrics_unless_asked_for(own_bridge: Running) -> None:
    assert own_bridge.settings.metrics_port is None
    assert own_bridge.http.get("/metrics").status_code == 404
