"""The generated parts of docs/command.md, made from `--help`: `python -m tests.cli.command_document` writes them."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Iterator
from pathlib import Path

import click

from pymdc.cli import failures
from pymdc.cli.main import COMMANDS, cli

from ..documents import ROOT, text_of

NAME = "docs/command.md"
ELSEWHERE = {"bridge"}  # docs/bridge.md is about it
COMMON = {str(option.name) for option in cli.params} | {"help"}


def commands(command: click.Command, path: str, context: click.Context) -> Iterator[tuple[str, click.Command]]:
    """Give a command and all below it, each with the words that call it."""
    yield path, command
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            below = command.get_command(context, name)
            assert below is not None
            yield from commands(below, f"{path} {name}", context)


def all_commands() -> list[tuple[str, str, click.Command]]:
    """Return all commands, each with the heading below which the help lists it."""
    with click.Context(cli, info_name="pymdc") as context:
        found = []
        for heading, names in COMMANDS.items():
            for name in names:
                command = cli.get_command(context, name)
                assert command is not None
                if name not in ELSEWHERE:
                    found += [(heading, path, each) for path, each in commands(command, f"pymdc {name}", context)]
        return found


def reference() -> str:
    """Return what the document says of all commands."""
    written, parts = "", []
    for heading, path, command in all_commands():
        if heading != written:
            parts.append(f"### {heading}")
            written = heading
        parts.append(_about(path, command))
    return "\n\n".join(parts)


def _about(path: str, command: click.Command) -> str:
    with click.Context(command, info_name=path) as context:
        usage = " ".join(command.collect_usage_pieces(context))
        lines = [f"#### `{path}`", "", f"`{path} {usage}`", "", _words(command.help or "")]
        options = [_option(option, context) for option in command.params if isinstance(option, click.Option)]
    options = [line for line in options if line]
    return "\n".join([*lines, *([""] if options else []), *options])


def _words(text: str) -> str:
    """Return a help text as Markdown. A paragraph that click must not wrap becomes a block."""
    paragraphs = []
    for paragraph in inspect.cleandoc(text).split("\n\n"):
        if paragraph.startswith("\b"):
            paragraphs.append("\n".join(f"    {line}" for line in paragraph.splitlines()[1:]))
        else:
            paragraphs.append(paragraph)
    return "\n\n".join(paragraphs)


def _option(option: click.Option, context: click.Context) -> str:
    record = option.get_help_record(context)
    if record is None or str(option.name) in COMMON:
        return ""
    names, words = (" ".join(each.split()) for each in record)
    return f"* `{names}`: {words}"


def exit_codes() -> str:
    """Return the table of exit codes."""
    tree = ast.parse(Path(failures.__file__).read_text(encoding="utf-8"))
    (table,) = [node for node in tree.body if isinstance(node, ast.ClassDef) and node.name == "Code"]
    rows = ["| code | what it means |", "|---|---|", "| 0 | All went well. |"]
    value = None
    for node in table.body:
        if isinstance(node, ast.Assign):
            value = ast.literal_eval(node.value)
        elif isinstance(node, ast.Expr) and value is not None:
            rows.append(f"| {value} | {ast.literal_eval(node.value)} |")
    return "\n".join(rows)


def renewed(text: str) -> str:
    """Return the document with its generated parts up to date."""
    for name, part in (("commands", reference()), ("exit codes", exit_codes())):
        start, end = f"<!-- {name} -->\n", f"<!-- end of the {name} -->"
        before, found, rest = text.partition(start)
        _, found_end, after = rest.partition(end)
        assert found, name
        assert found_end, name
        text = f"{before}{start}{part}\n{end}{after}"
    return text


if __name__ == "__main__":
    (ROOT / NAME).write_text(renewed(text_of(NAME)), encoding="utf-8")
