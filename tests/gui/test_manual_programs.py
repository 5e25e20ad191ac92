"""The programs of the manual on windows are run, in real windows, against a bridge."""

from __future__ import annotations

from pathlib import Path

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
    [("tk", "tkinter", "import tkinter\n"), ("qt", "PySide6.QtTest", "from PySide6.")],
)
def test_a_click_in_the_manuals_program_registers_an_account(
    toolkit: str, module: str, holds: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    program = tmp_path / "program.py"
    program.write_text(program_with(holds), encoding="utf-8")
    python = python_with(module)
    display = request.getfixturevalue("display") if toolkit == "tk" else None
    environment = {"QT_QPA_PLATFORM": "offscreen"}
    with running_bridge(tmp_path / "bridge") as bridge:
        environment["STORJ_BRIDGE"] = bridge.url
        for said in ("Registered: look at your mail\n", "Email is already registered\n"):
            assert run(python, HERE / "press.py", toolkit, str(program), display=display, **environment) == said
        assert bridge.mailed_token()


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
