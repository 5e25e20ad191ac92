"""The guide's examples are run, in their order, as one program, against a bridge."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import pymdc

from .bridges import running_bridge
from .documents import blocks, run, section

GUIDE = "docs/guide.md"
MAILED_TOKEN = "0aa6b301d0aa01f3e3580d0ab118e7257343325a41de20fb158dbbc7fd1225a5"
IMAGE = b"not much of an image"
IMAGE_HASH = "5579439f51de8508db790f7fe1212d601afb5c51"


def shape(value: Any) -> Any:
    """Return the names and types of a value, so that an example can be compared with what really came."""
    if isinstance(value, dict):
        return {name: type(each) for name, each in value.items()}
    return [shape(each) for each in value]


def test_the_documentation_of_2016_holds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("san_francisco.jpg").write_bytes(IMAGE)
    names: dict[str, Any] = {}
    value, printed = None, ""
    shown = 0
    with running_bridge(tmp_path / "bridge") as bridge:
        pymdc.configure(endpoint=bridge.url)
        for language, block in blocks(section(GUIDE, "## The documentation of 2016, as it holds today")):
            if language == "python":
                if MAILED_TOKEN in block:
                    block = block.replace(MAILED_TOKEN, bridge.mailed_token())
                if IMAGE_HASH in block:
                    block = block.replace(IMAGE_HASH, names["bucket"].files.list()[0]["hash"])
                value, printed = run(block, names)
                assert not isinstance(value, Exception), block
                assert not (isinstance(value, dict) and "error" in value), (block, value)
            elif language == "json":
                assert shape(value) == shape(json.loads(block)), block
                shown += 1
            elif language == "text":
                assert printed == block
                shown += 1
    assert shown == 13


def test_the_section_on_transfers_holds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("film.mkv").write_bytes(b"not much of a film")
    Path("Downloads").mkdir()
    with running_bridge(tmp_path / "bridge") as bridge:
        names: dict[str, Any] = {"bucket": bridge.bucket(pymdc.Client(bridge.url)), "pymdc": pymdc}
        for _, block in blocks(section(GUIDE, "## Transfers")):
            run(block, names)
    assert names["data"] == b"not much of a film"
    assert Path("Downloads", "film.mkv").exists()


def test_the_section_on_the_client_holds() -> None:
    shown = blocks(section(GUIDE, "## The client"))
    assert shown
    for language, block in shown:
        assert language == "python"
        run(block, {"pymdc": pymdc})
