"""Figures for Prometheus, on a port of their own: https://prometheus.io/docs/instrumenting/exposition_formats/."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from wsgiref.simple_server import WSGIServer

from prometheus_client import CollectorRegistry, Counter, Histogram, start_http_server
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from .context import Bridge

__all__ = ["Metrics"]

_PREFIX = "pymdc_bridge"
_SECONDS = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30, 100)  # from a listing to a large upload


class Metrics:
    """Counts what a bridge does, and serves the figures in a thread of its own.

    Arguments:
        host, port: the address to serve them on.

    Raises:
        OSError: the address cannot be used.
    """

    def __init__(self, bridge: Bridge, host: str, port: int) -> None:
        registry = CollectorRegistry()
        registry.register(_State(bridge))
        self._requests = Counter(
            f"{_PREFIX}_requests", "Requests and data channels.", ("method", "route", "status"), registry=registry
        )
        self._seconds = Histogram(
            f"{_PREFIX}_request_seconds",
            "How long they took.",
            ("method", "route"),
            buckets=_SECONDS,
            registry=registry,
        )
        self._bytes = Counter(f"{_PREFIX}_bytes", "Bytes of bodies and messages.", ("direction",), registry=registry)
        self._server: WSGIServer
        self._thread: threading.Thread
        try:
            self._server, self._thread = start_http_server(port, host, registry)
        except OSError as error:
            raise OSError(error.errno, f"the metrics cannot be served on port {port} of {host}: {error}") from error
        self.port: int = self._server.server_port

    def count(self, method: str, route: str, status: int | None, seconds: float, received: int, sent: int) -> None:
        """Count one request or channel that has ended. `route` is the pattern, so the number of labels is limited."""
        self._requests.labels(method, route, str(status or "none")).inc()
        self._seconds.labels(method, route).observe(seconds)
        self._bytes.labels("received").inc(received)
        self._bytes.labels("sent").inc(sent)

    def close(self) -> None:
        """Stop serving them."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _State(Collector):
    """What is running and what waits, measured when Prometheus asks."""

    def __init__(self, bridge: Bridge) -> None:
        self._bridge = bridge

    def collect(self) -> Iterator[Metric]:
        limits, condition = self._bridge.limits, self._bridge.condition
        gauges = {
            "requests_under_way": ("Requests under way.", limits.requests),
            "downloads_under_way": ("Data channels that are open.", limits.channels),
            "uploads_under_way": ("Uploads that are being received.", limits.uploads.under_way),
            "uploads_waiting": ("Uploads that wait for their turn.", limits.uploads.waiting),
            "signed_requests_waiting": ("Signed requests that wait for their commit.", self._bridge.writer.waiting),
            "clean_up_age_seconds": (
                "Seconds since the last successful clean-up.",
                time.monotonic() - condition.cleaned,
            ),
        }
        for name, (help_, value) in gauges.items():
            yield GaugeMetricFamily(f"{_PREFIX}_{name}", help_, value)
        errors = CounterMetricFamily(f"{_PREFIX}_engine_errors", "Failures of an engine.", labels=["engine"])
        away = GaugeMetricFamily(f"{_PREFIX}_engine_away", "1 while an engine does not answer.", labels=["engine"])
        for name, engine in (("database", self._bridge.store.engine), ("store", self._bridge.blobs.engine)):
            errors.add_metric([name], engine.errors)
            away.add_metric([name], engine.away)
        yield from (errors, away)
