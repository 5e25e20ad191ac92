"""The group of all commands: it loads a command when it is needed, and turns every failure into one line."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from contextlib import redirect_stderr, suppress
from importlib import import_module
from io import StringIO
from typing import Any

import click

from .arguments import check_not_empty, check_texts
from .failures import Code, ended, leave_pipe, unforeseen
from .options import given

__all__ = ["LazyGroup"]

Sections = Mapping[str, Mapping[str, tuple[str, str]]]


class LazyGroup(click.Group):
    """A group whose commands are loaded when they are needed.

    Arguments:
        sections: the headings of the help, and below each its commands: name, place ("module:attribute" within this
            package) and what the help says of it.
    """

    def __init__(self, *arguments: Any, sections: Sections, **settings: Any) -> None:
        super().__init__(*arguments, **settings)
        self.sections = sections
        self._places = {name: place for commands in sections.values() for name, (place, _) in commands.items()}
        check_texts(self)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Refuse empty arguments of every command, before any of them is read."""
        if not ctx.resilient_parsing:  # it is set while a shell completes a line
            check_not_empty(ctx.command_path, args)
        return super().parse_args(ctx, args)

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self._places)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in self._places:
            return None
        module, attribute = self._places[cmd_name].split(":")
        command: click.Command = getattr(import_module(f".{module}", __package__), attribute)
        check_texts(command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the commands without loading them."""
        for heading, commands in self.sections.items():
            with formatter.section(heading):
                formatter.write_dl([(name, words) for name, (_, words) in commands.items()])

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command. An unexpected exception becomes one line, too."""
        try:
            return super().invoke(ctx)
        except BrokenPipeError:
            leave_pipe()
            ctx.exit(Code.CLOSED_PIPE)
        except (click.ClickException, click.exceptions.Exit, click.Abort):
            raise
        except Exception as error:
            raise unforeseen(error, verbose=given(ctx).get("verbose", False)) from error

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,
        **extra: Any,
    ) -> Any:
        """Run the command and end the process, with one line for what failed. `ended` knows the exit codes."""
        if not standalone_mode:
            return super().main(args, prog_name, complete_var, False, **extra)
        if "_PYMDC_COMPLETE" in os.environ:  # a shell asks for completions, and would show anything written
            from . import shells  # noqa: F401 - its classes take the place of click's

            with redirect_stderr(StringIO()), suppress(Exception):
                super().main(args, prog_name, complete_var, False, **extra)
            raise SystemExit(int(Code.OTHER))
        with ended():
            code = super().main(args, prog_name, complete_var, False, **extra)
            raise SystemExit(code if isinstance(code, int) else 0)
