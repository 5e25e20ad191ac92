"""Arguments that are empty or not text: one line each, exit code 2, and nothing is done."""

from __future__ import annotations

from collections.abc import Iterator

import click
import pytest
from click.shell_completion import ShellComplete

from pymdc.cli.main import cli

from .typist import Typist

NOT_TEXT = "\udcff"  # what Python makes of the byte FF in an argument


def commands(group: click.Group, above: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    """Give every command with the words that name it."""
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        if isinstance(command, click.Group):
            yield from commands(command, (*above, name))
        yield (*above, name), command


def typed(command: click.Command, wrong: click.Parameter, value: str) -> list[str]:
    """Return the arguments of a command, of which one has this value."""
    plain = {"operation": "push", "shell": "bash", "source": "storj://b/", "sources": "storj://b/", "target": "here"}
    arguments = [
        value if each is wrong else plain.get(str(each.name), "x")
        for each in command.params
        if isinstance(each, click.Argument)
    ]
    return [wrong.opts[0], value, *arguments] if isinstance(wrong, click.Option) else arguments


PARAMETERS = [
    pytest.param(words, typed(command, param, value), value, id=f"{' '.join(words)} {param.name} {value!r}")
    for words, command in commands(cli)
    for param in command.params
    if not getattr(param, "is_flag", False)
    for value in ("", NOT_TEXT)
    if value == "" or param.type.name == "text"
]


def test_the_walk_finds_all_parameters() -> None:
    assert len(PARAMETERS) > 100


@pytest.mark.parametrize(("words", "arguments", "value"), PARAMETERS)
def test_no_command_takes_an_argument_that_is_empty_or_not_text(
    words: tuple[str, ...], arguments: list[str], value: str, typist: Typist
) -> None:
    said = typist.failed(2, *words, *arguments)
    assert ("is empty" if value == "" else r"'\udcff' is not text in UTF-8. See: pymdc") in said


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("",), "the argument after pymdc is empty"),
        (("cp", "", "storj://b/"), "the argument after cp is empty. For the folder where you are, write ."),
        (("sync", "storj://photos/", "", "--delete"), "the argument after storj://photos/ is empty"),
        (("login", "--password-file", "", "a@example.com"), "the argument after --password-file is empty"),
        (("login", "--password-file=", "a@example.com"), "the argument after --password-file= is empty"),
    ],
)
def test_an_empty_argument_is_named_by_what_stands_before_it(
    arguments: tuple[str, ...], words: str, typist: Typist
) -> None:
    assert typist.failed(2, *arguments).startswith(words)


@pytest.mark.parametrize("command", ["cp", "put", "sync", "mirror"])
def test_an_address_is_text_where_a_path_may_be_any_bytes(command: str, typist: Typist) -> None:
    assert "is not text in UTF-8" in typist.failed(2, command, "here", f"storj://photos{NOT_TEXT}/")


def test_a_line_with_an_empty_word_is_completed_all_the_same() -> None:
    shell = ShellComplete(cli, {}, "pymdc", "_PYMDC_COMPLETE")
    assert "--recursive" in [item.value for item in shell.get_completions(["cp", ""], "--recurs")]


def test_the_name_of_a_bucket_is_not_empty(member: Typist) -> None:
    assert member.failed(2, "mb", "storj://") == "a bucket needs a name: pymdc mb NAME"
