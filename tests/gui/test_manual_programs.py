"""The programs of the manual on windows are run, in real windows, against a bridge."""

from __future__ import annotations

import json
from concurrent.futures import CancelledError
from pathlib import Path
from typing import Any

import pytest

import pymdc
from tests.bridges import running_bridge
from tests.documents import blocks, section

from .programs import HERE, python_with, run

HEADING = "## GUI programs"


def program_with(text: str) -> str:
    """Return the one program of the manual that holds this text."""
    program: str
    (program,) = [each for _, each in blocks(section("docs/gui.md", HEADING)) if text in each]
    return program


@pytest.mark.parametrize(
    ("toolkit", "module", "holds"),
    [("tk", "tkinter", "from tkinter "), ("qt", "PySide6.QtTest", "from PySide6.")],
)
def test_the_manuals_program_lists_uploads_and_cancels(
    toolkit: str, module: str, holds: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    program, large = tmp_path / "program.py", tmp_path / "film.mkv"
    program.write_text(program_with(holds), encoding="utf-8")
    with large.open("wb") as file:
        file.truncate(500_000_000)  # which takes no room on the disk
    small = tmp_path / "photo.jpg"
    small.write_bytes(b"a photo")
    python = python_with(module)
    display = request.getfixturevalue("display") if toolkit == "tk" else None
    with running_bridge(tmp_path / "bridge") as bridge, pymdc.Client(bridge.url) as client:
        bucket = bridge.bucket(client)
        bucket.files.upload(b"something", name="a")
        assert isinstance(bucket.key_pair, pymdc.keypair.ECDSA)
        environment = {
            "QT_QPA_PLATFORM": "offscreen",
            "STORJ_BRIDGE": bridge.url,
            "BUCKET": bucket.bucket_id,
            "KEY": bucket.key_pair.get_private_key(),
        }
        arguments = [toolkit, str(program), str(small), str(large)]
        seen = json.loads(run(python, HERE / "press.py", *arguments, display=display, **environment))
    assert seen["first"] == ["a"]
    assert sorted(seen["then"]) == ["a", "photo.jpg"]
    assert seen["cancelled"] == pymdc.explain(CancelledError())


def test_the_manuals_queue_is_a_scheduler(tmp_path: Path) -> None:
    (text,) = [each for _, each in blocks(section("docs/gui.md", "## The scheduler of your loop"))]
    with running_bridge(tmp_path / "bridge") as bridge:
        names: dict[str, Any] = {"pymdc": pymdc}
        pymdc.configure(endpoint=bridge.url)
        exec(text.replace("pymdc.Client(", f"pymdc.Client({bridge.url!r}, "), names)
        values: list[Any] = []
        pymdc.api.Buckets(pymdc.keypair.ECDSA(), client=names["client"]).list(callback=values.append)
        names["functions"].get(timeout=60)()
        names["client"].close()
    assert values[0]["error"]


def test_the_window_of_the_readme_shows_how_many_files_there_are(tmp_path: Path, display: str) -> None:
    *_, (_, window) = blocks(section("README.md", "## A first program"))
    program = tmp_path / "program.py"
    with running_bridge(tmp_path / "bridge") as bridge:
        client = pymdc.Client(bridge.url)
        bucket = bridge.bucket(client)
        bucket.files.upload(b"something", name="a")
        pair = bucket.key_pair
        assert isinstance(pair, pymdc.keypair.ECDSA)
        window = window.replace("http://127.0.0.1:6382", bridge.url)
        window = window.replace("bucket.files", "bucket().files").replace('f"{len(files)} files")', "say(files))")
        before = f"""
import pymdc
def bucket():
    return pymdc.api.Bucket({bucket.bucket_id!r}, pymdc.keypair.ECDSA(private_key={pair.get_private_key()!r}))
def say(files):
    root.after(0, root.destroy)
    print(len(files), "files")
    return f"{{len(files)}} files"
"""
        program.write_text(before + window, encoding="utf-8")
        assert run(python_with("tkinter"), program, display=display) == "1 files\n"
