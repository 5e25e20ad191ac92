"""Ask a person before something is deleted."""

from __future__ import annotations

import sys

import click

from .failures import Code, Failure

__all__ = ["agree", "has_terminal"]


def has_terminal() -> bool:
    """Tell whether there is a person to ask."""
    return sys.stdin is not None and sys.stdin.isatty()


def agree(question: str, yes: bool) -> None:
    """Ask a person, unless `yes` was typed.

    Raises:
        Failure: there is no terminal to ask on.
        click.Abort: the answer was no.
    """
    if yes:
        return
    if not has_terminal():
        raise Failure("there is no terminal to ask on: add --yes if you mean it", Code.USAGE)
    click.confirm(question, abort=True, err=True)
