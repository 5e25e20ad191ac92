"""What a command writes: data on standard output, messages on standard error."""

from __future__ import annotations

import json as json_library
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import click

from .texts import clean

__all__ = ["Column", "Output", "human_size"]


class Column(NamedTuple):
    """A column of a table.

    Attributes:
        key: the key of the value in a row.
        heading: its heading on a terminal. Default: the key.
        size: whether it shows bytes: on a terminal as "1.5 MB".
        keep: whether its texts are shown in full on a narrow terminal, so that they can be copied.
    """

    key: str
    heading: str = ""
    size: bool = False
    keep: bool = False


class Output:
    """Writes the data and the messages of a command.

    Arguments:
        json: write data as JSON, one object a line.
        quiet: write no messages but warnings and errors. Data is still written.
        verbose: write more messages.
    """

    def __init__(self, *, json: bool = False, quiet: bool = False, verbose: bool = False) -> None:
        self.json, self.quiet, self.verbose = json, quiet, verbose

    @property
    def on_terminal(self) -> bool:
        """Whether a person sees the data: standard output is a terminal, without `--json`."""
        return sys.stdout.isatty() and not self.json

    def rows(self, rows: Iterable[Mapping[str, Any]], columns: Sequence[str | Column]) -> None:
        """Write a table: on a terminal with headings, in a pipe with tabs and without headings, or as JSON.

        Arguments:
            rows: in a pipe and as JSON, each row is written at once. JSON has all keys of a row.
            columns: the columns, in this order.
        """
        shown = [Column(column) if isinstance(column, str) else column for column in columns]
        if self.on_terminal:
            self._table(list(rows), shown)
            return
        for row in rows:
            if self.json:
                self.object(row)
            else:
                click.echo("\t".join(_text(row.get(column.key)) for column in shown))

    def record(self, values: Mapping[str, Any]) -> None:
        """Write the values of one thing: a line for each name, or one JSON object. A person sees names without "_"."""
        if self.json:
            self.object(values)
            return
        width = max(map(len, values), default=0) + 1 if self.on_terminal else 0
        separator = " " if self.on_terminal else "\t"
        for name, value in values.items():
            shown = name.replace("_", " ")
            for each in value if isinstance(value, list | tuple) else [value]:
                label = f"{shown}:".ljust(width) if self.on_terminal else name
                click.echo(f"{label}{separator}{_text(each)}")

    def object(self, values: Mapping[str, Any]) -> None:
        """Write one JSON object in a line, and at once."""
        click.echo(json_library.dumps(dict(values), default=str))

    def say(self, message: str) -> None:
        """Tell a person what was done, on standard error."""
        if not self.quiet:
            click.echo(clean(message), err=True)

    def detail(self, message: str) -> None:
        """Tell a person about a step, with `--verbose` only."""
        if self.verbose:
            click.echo(clean(message), err=True)

    def warn(self, message: str) -> None:
        """Warn a person, on standard error."""
        click.echo(f"Warning: {clean(message)}", err=True)

    def _table(self, rows: list[Mapping[str, Any]], columns: list[Column]) -> None:
        from rich.console import Console
        from rich.table import Table
        from rich.text import Text

        if not rows:
            return
        table = Table(box=None, pad_edge=False, header_style="bold")
        for column in columns:
            numbers = all(isinstance(row.get(column.key), int) for row in rows)
            table.add_column(
                column.heading or column.key, justify="right" if numbers else "left", no_wrap=numbers or column.keep
            )
        for row in rows:
            # Columns that may wrap are narrowed first; their texts are cut all the same.
            shown = [_shown(row.get(column.key), column) for column in columns]
            table.add_row(*(Text(text, no_wrap=True, overflow="ellipsis") for text in shown))
        Console(file=sys.stdout, highlight=False, markup=False).print(table)


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return clean(", ".join(map(str, value)) if isinstance(value, list | tuple) else value)


def _shown(value: Any, column: Column) -> str:
    return human_size(value) if column.size and isinstance(value, int) else _text(value)


def human_size(size: float) -> str:
    """Return a number of bytes as a person reads it: "1.5 MB" is 1,500,000 bytes."""
    if size < 1000:
        return f"{int(size)} B"
    for unit in ("kB", "MB", "GB"):
        size /= 1000
        if size < 999.95:
            return f"{size:.1f} {unit}"
    return f"{size / 1000:.1f} TB"
