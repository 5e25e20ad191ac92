"""The table: printed as Markdown line by line, and written between two marks of a document."""

from __future__ import annotations

import os
import platform
import re
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from .racing import Line

COLUMNS = ("what", "ours", "beside", "speed", "min to max", "processor", "aim")
WIDTHS = (48, 11, 34, 5, 13, 9, 11)
SHORT = (0, 2, 3, 4)  # the columns of the short table, which has the lines with an aim


def head(columns: Sequence[int] = range(len(COLUMNS))) -> str:
    return f"{_row(COLUMNS, columns)}\n{_row(['-' * width for width in WIDTHS], columns)}"


def row(line: Line, columns: Sequence[int] = range(len(COLUMNS))) -> str:
    """Return a line as a row of a Markdown table."""
    processor = "" if line.processor is None else f"{line.processor:.2f}"
    aim = "" if line.aim is None else f"{line.aim:.2f} {'met' if line.median >= line.aim else 'missed'}"
    spread = f"{min(line.ratios):.2f} to {max(line.ratios):.2f}" if len(line.ratios) > 1 else ""
    return _row([line.what, line.figure, line.beside, f"{line.median:.2f}", spread, processor, aim], columns)


def _row(cells: Sequence[str], columns: Sequence[int]) -> str:
    return "| " + " | ".join(f"{cells[column]:{WIDTHS[column]}}" for column in columns) + " |"


def write(path: Path, command: str, lines: Sequence[Line]) -> None:
    """Put the table, or the short table, between the marks of a document, in the place of the one before.

    The marks are comments: `<!-- table -->` or `<!-- short table -->`, and `<!-- end of the table -->`.
    """
    text = path.read_text(encoding="utf-8")
    about = f"Measured on {_date()} by `{command}`, on {_machine()}."
    short = [line for line in lines if line.aim is not None and not line.what.startswith("memory")]
    tables: dict[str, Callable[[], list[str]]] = {
        "table": lambda: [head(), *map(row, lines)],
        "short table": lambda: [head(SHORT), *(row(line, SHORT) for line in short)],
    }
    begin = re.search(r"<!-- ((?:short )?table) -->\n.*?<!-- end of the table -->", text, re.S)
    assert begin, f"{path} has no marks for a table"
    made = "\n".join([f"<!-- {begin[1]} -->", about, "", *tables[begin[1]](), "", "<!-- end of the table -->"])
    path.write_text(text.replace(begin[0], made), encoding="utf-8")


def _date() -> str:
    return time.strftime("%d %B %Y, %H:%M UTC", time.gmtime()).lstrip("0")


def _machine() -> str:
    return (
        f"{os.cpu_count()} processor cores ({platform.machine()}, {platform.system()}, "
        f"Python {platform.python_version()}), where on average {os.getloadavg()[2]:.1f} processes wanted to run"
    )
