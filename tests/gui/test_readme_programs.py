"""The GUI programs of the README are run, in real windows, against a bridge."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.bridges import running_bridge

from .programs import HERE, python_with, run

README = HERE.parents[1] / "README.md"
HEADING = "\n## GUI programs\n"


def program_with(text: str) -> str:
    """Return the one program of the section that holds this text."""
    readme = README.read_text(encoding="utf-8")
    if HEADING not in readme:
        pytest.skip("the README has no section on GUI programs")
    section = readme.split(HEADING, 1)[1].split("\n## ", 1)[0]
    program: str
    (program,) = [each for each in re.findall(r"^```python\n(.*?)^```$", section, re.M | re.S) if text in each]
    return program


@pytest.mark.parametrize(
    ("toolkit", "module", "holds"),
    [("tk", "tkinter", "import tkinter\n"), ("qt", "PySide6.QtTest", "from PySide6.")],
)
def test_a_click_in_the_readmes_program_registers_an_account(
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
