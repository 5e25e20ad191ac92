"""The output of commands: tables, JSON and messages. Text from others cannot control a terminal."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable
from io import StringIO

import pytest

from pymdc.cli.output import Column, Output, human_size
from pymdc.cli.texts import clean

ROWS = [{"name": "a", "size": 1500, "more": ["x"]}, {"name": "bé\x1b[2J\n", "size": 20, "more": []}]
COLUMNS: list[str | Column] = ["name", Column("size", "Bytes", size=True)]


class Terminal(StringIO):
    def isatty(self) -> bool:
        return True


def on_terminal(write: Callable[[], None], monkeypatch: pytest.MonkeyPatch, columns: int = 80) -> str:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stdout", terminal)
    monkeypatch.setenv("COLUMNS", str(columns))
    monkeypatch.setenv("TERM", "xterm")
    write()
    monkeypatch.undo()
    return terminal.getvalue()


def test_in_a_pipe_a_table_has_tabs_and_no_headings(capsys: pytest.CaptureFixture[str]) -> None:
    Output().rows(ROWS, [*COLUMNS, "more", "nothing"])
    assert capsys.readouterr().out == "a\t1500\tx\t\nbé\\x1b[2J\\n\t20\t\t\n"


def test_as_json_each_row_is_one_object_in_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    Output(json=True).rows(ROWS, COLUMNS)
    lines = capsys.readouterr().out.splitlines()
    assert [json.loads(line) for line in lines] == ROWS
    assert all(line.isascii() and line.isprintable() for line in lines)


def test_on_a_terminal_a_table_has_headings_and_sizes_for_people(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    shown = on_terminal(lambda: Output().rows(ROWS, COLUMNS), monkeypatch)
    assert "1.5 kB" in shown
    assert "Bytes" in shown
    assert "\x1b[2J" not in shown
    assert "\\x1b[2J\\n" in shown
    assert on_terminal(lambda: Output().rows([], COLUMNS), monkeypatch) == ""


def test_text_from_a_bridge_is_not_read_as_markup(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [{"name": "[bold]x[/bold] [link=http://example.com]"}]
    assert rows[0]["name"] in on_terminal(lambda: Output().rows(rows, ["name"]), monkeypatch)


def test_no_color_is_honoured(monkeypatch: pytest.MonkeyPatch) -> None:
    def colors() -> bool:
        return "\x1b[3" in on_terminal(lambda: Output().rows(ROWS, COLUMNS), monkeypatch)

    monkeypatch.setenv("NO_COLOR", "1")
    assert not colors()


@pytest.mark.parametrize("columns", [20, 60, 200])
def test_a_table_fits_the_terminal(columns: int, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [{"name": "n" * 150, "id": "0123456789abcdef01234567"}]
    columns_shown: list[str | Column] = ["name", Column("id", keep=True)]
    monkeypatch.setenv("NO_COLOR", "1")
    shown = on_terminal(lambda: Output().rows(rows, columns_shown), monkeypatch, columns)
    lines = re.sub(r"\x1b\[[\d;]*m", "", shown).splitlines()
    assert max(map(len, lines)) <= columns
    assert rows[0]["id"] in lines[1] or columns == 20


def test_a_record_has_a_line_for_each_value(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    values = {"id": "1", "active": True, "pubkeys": ["a", "b"], "none": None, "off": False}
    Output().record(values)
    assert capsys.readouterr().out == "id\t1\nactive\tyes\npubkeys\ta\npubkeys\tb\nnone\t\noff\tno\n"
    Output(json=True).record(values)
    assert json.loads(capsys.readouterr().out) == values
    shown = on_terminal(lambda: Output().record(values), monkeypatch)
    assert shown.startswith("id:      1\nactive:  yes\n")


def test_messages_go_to_standard_error(capsys: pytest.CaptureFixture[str]) -> None:
    for output in (Output(), Output(quiet=True), Output(verbose=True)):
        output.say("done\x07")
        output.detail("more")
        output.warn("look")
    written = capsys.readouterr()
    assert written.out == ""
    assert written.err == "done\\x07\nWarning: look\nWarning: look\ndone\\x07\nmore\nWarning: look\n"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain ü 猫", "plain ü 猫"),
        ("a\u00a0b", "a\u00a0b"),
        ("\x1b]0;title\x07", "\\x1b]0;title\\x07"),
        ("\x9b31m", "\\x9b31m"),
        ("photo\u202egpj.exe", "photo\\u202egpj.exe"),
        ("a\tb\r\n", "a\\tb\\r\\n"),
        ("\udc80", "\\udc80"),
        ("\U0001f468\u200d\U0001f469", "\U0001f468\u200d\U0001f469"),
        (5, "5"),
    ],
)
def test_control_characters_are_written_out(text: object, shown: str) -> None:
    assert clean(text) == shown


@pytest.mark.parametrize(
    ("size", "words"),
    [(0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (999_960, "1.0 MB"), (1_500_000, "1.5 MB"), (4 << 30, "4.3 GB")],
)
def test_sizes_are_told_in_units(size: int, words: str) -> None:
    assert human_size(size) == words


def test_sizes_beyond_all_units_are_told_in_the_largest() -> None:
    assert human_size(5.2e15) == "5200.0 TB"
