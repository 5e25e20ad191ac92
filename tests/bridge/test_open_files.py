"""How many connections a bridge can have under the system's limit on open files."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from pymdc.bridge.open_files import fit_open_files
from pymdc.bridge.settings import Settings

if sys.platform == "win32":
    pytest.skip("sockets are no files there", allow_module_level=True)

import resource


@pytest.fixture
def hard() -> Iterator[int]:
    """A process that may open 256 files, and may raise that to the number that this fixture gives."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    if not 0 < before[1] < 1 << 30:
        pytest.skip("this system has no limit that a process cannot raise")
    resource.setrlimit(resource.RLIMIT_NOFILE, (256, before[1]))
    yield before[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


def test_the_limit_is_raised_as_far_as_the_connections_need_it(tmp_path: Path, hard: int) -> None:
    settings = Settings(tmp_path, max_connections=200)
    assert fit_open_files(settings) is settings
    assert resource.getrlimit(resource.RLIMIT_NOFILE) == (464, hard)
    assert fit_open_files(replace(settings, max_connections=10)).max_connections == 10
    assert resource.getrlimit(resource.RLIMIT_NOFILE) == (464, hard), "it is never lowered"


def test_a_limit_that_cannot_be_raised_allows_fewer_connections(
    tmp_path: Path, hard: int, caplog: pytest.LogCaptureFixture
) -> None:
    fitted = fit_open_files(Settings(tmp_path, max_connections=hard))
    assert fitted.max_connections == (hard - 64) // 2
    assert f"--max-connections is {fitted.max_connections}, not {hard}; raise the limit" in caplog.text
