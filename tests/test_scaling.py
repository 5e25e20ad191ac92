"""The simulation and the pictures of `docs/scaling.md`."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import pytest

from .bench.scale import REFERENCE, closed, downloads, opened, signed_requests, users

DOCS = Path(__file__).parent.parent / "docs"


def test_few_requests_take_as_long_as_their_steps() -> None:
    steps = REFERENCE.request + REFERENCE.batch + REFERENCE.transaction + REFERENCE.row + REFERENCE.disk
    assert opened(REFERENCE, 5.0, 1, 1).p95 == pytest.approx(steps, rel=0.01)


def test_a_bridge_serves_no_more_than_its_processor_can() -> None:
    result = opened(REFERENCE, 20_000.0, 1, 1)
    assert result.throughput < 1 / REFERENCE.request
    assert result.bridge > 0.95


def test_more_processors_and_a_faster_disk_serve_more() -> None:
    slow = replace(REFERENCE, disk=0.02)
    assert closed(REFERENCE, 1, 16, 0.5) < closed(REFERENCE, 1, 16, 2.0)
    assert closed(slow, 1, 16, 2.0) < closed(REFERENCE, 1, 16, 2.0)


def test_a_seed_gives_the_same_figures_again() -> None:
    assert opened(REFERENCE, 500.0, 2, 1) == opened(REFERENCE, 500.0, 2, 1)


def test_the_pictures_are_those_that_the_script_draws() -> None:
    drawn = {"downloads": downloads(), "users": users()}
    for name, text in drawn.items():
        ElementTree.fromstring(text)
        assert (DOCS / f"scaling-{name}.svg").read_text() == text
    text = (DOCS / "scaling.md").read_text()
    assert all(f"(scaling-{name}.svg)" in text for name in (*drawn, "requests"))


@pytest.mark.slow
def test_the_curves_of_requests_are_those_that_the_script_draws() -> None:
    assert (DOCS / "scaling-requests.svg").read_text() == signed_requests(REFERENCE)
