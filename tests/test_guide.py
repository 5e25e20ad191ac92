"""The guide's examples are run, in their order, as one program, against a bridge."""

from __future__ import annotations

import dataclasses
import inspect
import json
import pkgutil
import re
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import pymdc

from .bridges import LONG, running_bridge
from .documents import blocks, run, section, text_of

GUIDE = "docs/guide.md"
OLD = "## A program of 2016 in ten minutes"
MAILED_TOKEN = "0aa6b301d0aa01f3e3580d0ab118e7257343325a41de20fb158dbbc7fd1225a5"
IMAGE = b"not much of an image"
IMAGE_HASH = "5579439f51de8508db790f7fe1212d601afb5c51"


def shape(value: Any) -> Any:
    """Return the names and types of a value, so that an example can be compared with a real value."""
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
    names: dict[str, Any] = {"pymdc": pymdc}
    for language, block in shown:
        assert language == "python"
        run(block, names)
    assert names["megabytes"]([{"size": 3_000_000}, {"size": 500_000}]) == 3.5


def test_the_table_of_time_limits_is_that_of_the_code() -> None:
    rows = re.findall(r"^\| `(\w+)` \| (\w+) \|", section(GUIDE, "### Time limits"), re.M)
    limits = {name: None if number == "none" else float(number) for name, number in rows}
    assert limits == dataclasses.asdict(pymdc.Timeout())


def test_the_table_of_errors_has_every_error_of_the_tree() -> None:
    table = section(GUIDE, "### 7. Errors")
    drawn = re.findall(r"[├└]── ([\w.]+)", pymdc.errors.__doc__ or "")
    assert len(drawn) > 10
    for name in set(drawn) - {"ConnectionError", "MetadiskError"}:  # the one by its subclasses, the other is no value
        assert re.search(rf"`(pymdc\.errors\.)?{re.escape(name)}`", table), name


def test_the_guide_names_what_is_new() -> None:
    new = section(GUIDE, "## For those who come from the original").partition("What is new:")[2]
    names = re.findall(r"`(pymdc\.[\w.]+)", new)
    assert len(names) >= 6
    for name in names:
        assert pkgutil.resolve_name(name) is not None
    for name, options in re.findall(r"`bucket\.files\.(\w+)(?:\(([\w=, ]+)\))?`", new):
        parameters = inspect.signature(getattr(pymdc.api.Files, name)).parameters
        assert {option.strip(" =") for option in options.split(",") if option} <= parameters.keys()


@pytest.mark.skipif(sys.version_info >= (3, 13), reason="lib2to3 is no part of this Python any more")
def test_the_conversion_of_an_old_program_is_that_of_lib2to3(tmp_path: Path) -> None:
    (before,) = [block for language, block in blocks(section(GUIDE, OLD)) if language == "python2"]
    (after,) = [block for language, block in blocks(section(GUIDE, OLD)) if language == "python3"]
    program = tmp_path / "program.py"
    program.write_text(before, encoding="utf-8")
    command = [sys.executable, "-W", "ignore", "-m", "lib2to3", "-w", "-n", str(program)]
    subprocess.run(command, check=True, capture_output=True, timeout=LONG)
    assert program.read_text(encoding="utf-8") == after


def test_the_converted_program_and_what_is_done_by_hand_run(tmp_path: Path) -> None:
    converted, by_hand = [block for kind, block in blocks(section(GUIDE, OLD)) if kind in ("python3", "python")]
    with running_bridge(tmp_path / "bridge") as bridge:
        pymdc.configure(endpoint=bridge.url)
        names: dict[str, Any] = {"bucket": bridge.bucket(pymdc.Client(bridge.url))}
        assert run(converted, names)[1] == "Registered: your_email@some_domain.com\n"
        assert run(by_hand, names)[1] == "0 files\n"
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        client = pymdc.Client(f"http://127.0.0.1:{closed.getsockname()[1]}")
        names["bucket"] = client.api.Bucket("1", pymdc.keypair.ECDSA())
        assert run(by_hand, names)[1].startswith("No connection: ")


def test_every_section_of_the_guide_is_tested_here() -> None:
    headings = re.findall(r"^## .*$", text_of(GUIDE), re.M)
    for heading in headings:
        assert text_of("tests/test_guide.py").count(heading), heading
    assert len(headings) == 5
