"""The README and the documents hang together: their links lead somewhere, and the README is short."""

from __future__ import annotations

import configparser
import re
import shlex
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from pymdc.cli.main import cli

from .documents import NAMES, ROOT, section, text_of

TEXTS = {name: text_of(name) for name in NAMES}


def anchors(name: str) -> set[str]:
    """Return the anchors that a document's headings get where Markdown is shown."""
    headings = re.findall(r"^#+ (.*)$", re.sub(r"^```.*?^```$", "", text_of(name), flags=re.M | re.S), re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("name", NAMES)
def test_every_link_leads_somewhere(name: str) -> None:
    for link in re.findall(r"\]\(([^)\s]+)\)", text_of(name)):
        path, _, anchor = link.partition("#")
        if "://" in path:
            continue
        there = (ROOT / name).parent / path if path else ROOT / name
        assert there.exists(), f"{name} links to {link}"
        if anchor:
            assert anchor in anchors(str(there.resolve().relative_to(ROOT))), f"{name} links to {link}"


def test_the_readme_is_short() -> None:
    assert len(text_of("README.md").splitlines()) <= 200


def test_a_missing_section_is_an_error() -> None:
    with pytest.raises(AssertionError, match="has no section"):
        section("README.md", "## Nothing of the kind")


def test_a_heading_ends_the_section_before_it() -> None:
    assert "Development" not in section("README.md", "## Try it")


def shown(pattern: str) -> list[Any]:
    """Return the matches of a pattern in all documents. No match is an error."""
    found = [match for text in TEXTS.values() for match in re.findall(pattern, text, re.M)]
    assert found, pattern
    return found


def test_the_programs_and_tests_that_are_named_exist() -> None:
    for module in shown(r"python3?(?:\.\d+)? -m ([\w.]+)"):
        assert module in ("venv", "pip", "lib2to3") or find_spec(module), module
    for path in shown(r"pytest (tests/[\w/.]+)"):
        assert (ROOT / path).exists(), path
    for path, name in shown(r"pytest (tests/[\w/.]+)::(\w+)"):
        assert f"def {name}(" in (ROOT / path).read_text(encoding="utf-8"), name


def test_the_extras_that_are_named_exist() -> None:
    setup = configparser.ConfigParser(interpolation=None)
    setup.read(ROOT / "setup.cfg", encoding="utf-8")
    for extras in shown(r"""pip install [^`\n]*?"[\w.-]+\[([\w,]+)\]"""):
        assert set(extras.split(",")) <= set(setup["options.extras_require"]), extras


def test_every_command_that_is_shown_is_understood(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The parser reads all arguments before it gives the help."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "bridge.toml").touch()
    for line in shown(r"^    (?:\.venv/bin/)?pymdc (.*)$"):
        ran = CliRunner().invoke(cli, [*shlex.split(line, comments=True), "--help"])
        assert (ran.exit_code, ran.output[:7]) == (0, "Usage: "), (line, ran.output)
