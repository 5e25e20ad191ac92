"""The README and the documents in docs/: their sections and the blocks of code in them.

A section that is not there makes a test fail, so that a renamed heading cannot leave an example untested.
"""

from __future__ import annotations

import ast
import contextlib
import io
import re
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
NAMES = [
    "README.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "SECURITY.md",
    *sorted(f"docs/{path.name}" for path in (ROOT / "docs").glob("*.md")),
]


def text_of(name: str) -> str:
    """Return a document: `README.md`, `docs/guide.md`."""
    return (ROOT / name).read_text(encoding="utf-8")


def section(name: str, heading: str) -> str:
    """Return what stands under a heading, up to the next heading of the same level or above."""
    level = heading.split(" ")[0]
    found = re.search(
        rf"^{re.escape(heading)}\n(.*?)(?=^#{{1,{len(level)}}} |\Z)",
        re.sub(r"^```.*?^```$", lambda block: block[0].replace("\n#", "\n\0#"), text_of(name), flags=re.M | re.S),
        re.M | re.S,
    )
    assert found, f"{name} has no section {heading!r}"
    return found[1].replace("\0", "")


def blocks(text: str) -> list[tuple[str, str]]:
    """Return the blocks of code in a text: their languages and what is in them."""
    return re.findall(r"^```(\w+)\n(.*?)^```$", text, flags=re.M | re.S)


def run(block: str, names: dict[str, Any]) -> tuple[Any, str]:
    """Run a block as typed at the prompt. Return the value of its last expression, and what it printed."""
    *statements, last = ast.parse(block).body
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(ast.Module(statements, []), "document", "exec"), names)
        if isinstance(last, ast.Expr):
            return eval(compile(ast.Expression(last.value), "document", "eval"), names), printed.getvalue()
        exec(compile(ast.Module([last], []), "document", "exec"), names)
    return None, printed.getvalue()
