"""What every argument must be: not empty, and text in UTF-8 unless it is a path of this machine."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import click

from .failures import Code, Failure

__all__ = ["Text", "check_not_empty", "check_texts", "is_text"]


def is_text(value: str) -> bool:
    """Tell whether a text can be sent. Python keeps a byte that is not UTF-8 as half of a surrogate pair."""
    try:
        value.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


class Text(click.ParamType[str]):
    """A text in UTF-8."""

    name = "text"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        if not is_text(str(value)):
            self.fail(f"{value!r} is not text in UTF-8", param, ctx)
        return str(value)


_TEXT = Text()


def check_texts(command: click.Command) -> None:
    """Make a command, and the commands below it, refuse arguments that are not text in UTF-8."""
    for param in command.params:
        if isinstance(param.type, type(click.STRING)):
            param.type = _TEXT
    for below in command.commands.values() if isinstance(command, click.Group) else ():
        check_texts(below)


def check_not_empty(program: str, arguments: Iterable[str]) -> None:
    """Refuse an empty argument, such as "$FOLDER" where no variable has this name.

    Arguments:
        program: the name of the program, which stands before the first argument.

    Raises:
        Failure: an argument is empty, or the value after an option's "=".
    """
    before = program
    for argument in arguments:
        if not argument:
            raise Failure(f"the argument after {before} is empty. For the folder where you are, write .", Code.USAGE)
        if argument.startswith("--") and argument.endswith("="):
            raise Failure(f"the argument after {argument} is empty", Code.USAGE)
        before = argument
