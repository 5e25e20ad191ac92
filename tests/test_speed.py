"""The benchmarks: their table, and the documents that show it. What they measure is not tested here."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from .bench import table
from .bench.racing import Line, Race, Way, per_second
from .bench.run import PARTS, parsed
from .documents import ROOT, text_of

LINES = [
    Line("a call", "httpx: 2 µs", "1 µs", [2.0, 1.0, 3.0], 1.5, 0.8),
    Line("another call", "httpx: 2 µs", "4 µs", [0.5], None, 0.8),
    Line("a call", "curl", "1 µs", [1.0]),
]


def test_a_race_compares_ways_turn_by_turn() -> None:
    done: list[str] = []
    ways = [Way(name, done.append, per_second(1), lambda name=name: name) for name in ("one", "two")]  # type: ignore[misc]
    race = Race(ways, 0)
    assert done == ["one", "two", "two", "one", "one", "two", "two", "one"]
    line = race.line("work", "one", "two", 0.1)
    assert len(line.ratios) == 3
    assert all(ratio > 0 for ratio in line.ratios)
    assert line.beside.startswith("two: ")


def test_a_row_has_the_median_the_spread_and_whether_the_aim_is_met() -> None:
    first, second, third = ([cell.strip() for cell in table.row(line).split("|")[1:-1]] for line in LINES)
    assert first == ["a call", "1 µs", "httpx: 2 µs", "2.00", "1.00 to 3.00", "1.50", "0.80 met"]
    assert second == ["another call", "4 µs", "httpx: 2 µs", "0.50", "", "", "0.80 missed"]
    assert third[-1] == ""


@pytest.mark.parametrize("kind", ["table", "short table"])
def test_a_table_takes_the_place_of_the_one_before(tmp_path: Path, kind: str) -> None:
    document = tmp_path / "document.md"
    document.write_text(f"before\n\n<!-- {kind} -->\nold\n<!-- end of the table -->\n\nbehind\n")
    for _ in range(2):
        table.write(document, "the command", LINES)
    text = document.read_text()
    assert text.startswith("before\n\n")
    assert text.endswith("\n\nbehind\n")
    assert "old" not in text
    assert text.count("by `the command`") == 1
    assert len(re.findall(r"^\| (?:a|another) call", text, re.M)) == {"table": 3, "short table": 2}[kind]


def test_a_document_without_marks_is_refused(tmp_path: Path) -> None:
    (tmp_path / "document.md").write_text("nothing")
    with pytest.raises(AssertionError, match="no marks"):
        table.write(tmp_path / "document.md", "the command", LINES)


@pytest.mark.parametrize("name", ["README.md", "docs/speed.md"])
def test_the_documents_show_a_table_with_its_date_and_command(name: str) -> None:
    found = re.search(r"table -->\n(.*)<!-- end of the table -->", text_of(name), re.S)
    assert found
    assert re.match(r"Measured on \d+ \w+ 20\d\d, .* by `python -m tests\.bench\.run.*`, on \d+ processor", found[1])
    assert len(re.findall(r"^\| .* \|$", found[1], re.M)) > 10


def test_the_options_in_the_document_are_understood() -> None:
    text = text_of("docs/speed.md")
    for words in ("--only calls,import", "--seconds 60", "--write docs/speed.md README.md"):
        assert f"`{words}`" in text
        parsed(words.split())
    assert parsed([]).only == list(PARTS)


def test_an_unknown_part_is_an_error(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parsed(["--only", "nothing"])
    assert "there is no part nothing" in capsys.readouterr().err


def test_the_program_runs_from_any_folder(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, str(ROOT / "tests/bench/run"), "--only", "import", "--seconds", "0"],
        cwd=tmp_path, check=True, stdout=subprocess.PIPE, text=True, timeout=120,
    )  # fmt: skip
    assert "| `import pymdc` " in done.stdout
    assert os.access(ROOT / "tests/bench/run", os.X_OK)
