"""The README's examples are run, in their order, as one program, against a bridge."""

from __future__ import annotations

import ast
import contextlib
import io
import json
import re
from pathlib import Path
from typing import Any

import pytest

import pymdc

from .bridges import running_bridge

README = (Path(__file__).parent.parent / "README.md").read_text(encoding="utf-8")
MAILED_TOKEN = "0aa6b301d0aa01f3e3580d0ab118e7257343325a41de20fb158dbbc7fd1225a5"
IMAGE = b"not much of an image"
IMAGE_HASH = "5579439f51de8508db790f7fe1212d601afb5c51"


def section(start: str, end: str) -> list[tuple[str, str]]:
    """Return the code blocks between two headings: their languages and texts."""
    text = README.split(f"\n## {start}\n", 1)[1].split(f"\n## {end}\n", 1)[0]
    return re.findall(r"^```(\w+)\n(.*?)^```$", text, flags=re.MULTILINE | re.DOTALL)


def run(block: str, names: dict[str, Any]) -> tuple[Any, str]:
    """Run a block as typed at the prompt; return the value of its last expression, and what it printed."""
    *statements, last = ast.parse(block).body
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(ast.Module(statements, []), "README.md", "exec"), names)
        if isinstance(last, ast.Expr):
            return eval(compile(ast.Expression(last.value), "README.md", "eval"), names), printed.getvalue()
        exec(compile(ast.Module([last], []), "README.md", "exec"), names)
    return None, printed.getvalue()


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
        for language, block in section(
            "The documentation of 2016, as it holds today", "For those who come from the original"
        ):
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
    assert shown == 12


def test_the_section_on_the_client_holds() -> None:
    for language, block in section("The client", "Running a bridge"):
        assert language == "python"
        run(block, {"pymdc": pymdc})
