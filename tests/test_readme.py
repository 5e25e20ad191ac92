"""The README's first program is run against a bridge, block by block. Its window is a test of `tests/gui`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from .bridges import running_bridge
from .documents import blocks, run, section

SHOWN = "http://127.0.0.1:6382"


def test_the_first_program_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("holiday.jpg").write_bytes(b"not much of an image")
    with running_bridge(tmp_path / "bridge") as bridge:
        names: dict[str, Any] = {"input": lambda prompt: bridge.mailed_token()}
        (settings,) = blocks(section("README.md", "## Start a bridge"))
        run(settings[1].replace(SHOWN, bridge.url), names)
        blocking, callback, window = [text for _, text in blocks(section("README.md", "## A first program"))]
        _, printed = run(blocking, names)
        assert "'error'" not in printed
        assert Path("copy.jpg").read_bytes() == b"not much of an image"
        _, printed = run(callback, names)
        assert printed.endswith("Stored: " + names["stored"]["hash"] + "\n") or "Stored: " in printed
    assert "schedulers.tk(root)" in window
