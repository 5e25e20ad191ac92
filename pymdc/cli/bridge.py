"""`pymdc bridge`: serve a bridge, or look after one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import MISSING
from functools import partial
from pathlib import Path
from typing import Any

import click

from ..bridge.options import PREFIX, Option, options_of
from ..bridge.settings import Settings
from ..config import ENDPOINT_VARIABLE
from .config import read_config
from .copies import backup, migrate, restore
from .extras import needs_bridge
from .operation import check, explained
from .users import users

__all__ = ["bridge", "read_settings"]

_TYPED = "pymdc.typed"


def _type_of(option: Option) -> Any:
    if option.choices:
        return click.Choice(option.choices)
    if option.kind is Path:
        return click.Path(path_type=Path)
    if option.kind is int:
        return click.IntRange(option.least, option.most)
    return click.FloatRange(option.least) if option.kind is float else None


def _declared(option: Option) -> Callable[[Any], Any]:
    repeatable = option.kind is tuple
    default = option.default if option.default is not MISSING else lambda: getattr(Settings(), option.attribute)
    return click.option(
        f"--{option.name}",
        option.attribute,
        envvar=option.variable,
        type=_type_of(option),
        default=default,
        show_default=option.shown_default or None,
        multiple=repeatable,
        metavar=option.metavar,
        help=option.help + (" Repeatable; in the environment, with spaces." if repeatable else ""),
    )


def _with_options(command: Any) -> Any:
    for option in reversed(options_of(Settings)):
        command = _declared(option)(command)
    return click.option(
        "--config",
        type=click.Path(exists=True, dir_okay=False, path_type=Path),
        is_eager=True,
        expose_value=False,
        callback=read_config,
        help="A TOML file with any of these options, named as here without the dashes before: port = 80.",
    )(command)


class _Bridge(click.Group):
    """A group that remembers the typed arguments, so that the settings can be read again."""

    def make_context(
        self, info_name: str | None, args: list[str], parent: click.Context | None = None, **extra: Any
    ) -> click.Context:
        typed = list(args)
        context = super().make_context(info_name, args, parent, **extra)
        context.meta[_TYPED] = typed
        return context


def read_settings(typed: list[str]) -> Settings:
    """Return the settings of a command line, with the current contents of its file and the current environment."""
    with bridge.make_context("bridge", list(typed)) as context:
        return Settings(**context.params)


def _tell(line: str) -> None:
    """Write a line for the person who starts a bridge. After the line with its URL, say what to do next."""
    click.echo(line)
    if line.startswith(f"export {ENDPOINT_VARIABLE}="):
        click.echo("Next, in another terminal: type the line above, then: pymdc register EMAIL")
        click.echo("To stop the bridge, press Ctrl+C here.")


@click.group(
    cls=_Bridge,
    invoke_without_command=True,
    context_settings={"auto_envvar_prefix": PREFIX, "show_default": True},
    subcommand_metavar="[COMMAND]...",
)
@_with_options
@click.pass_context
def bridge(context: click.Context, /, **options: Any) -> None:
    """Serve a Metadisk bridge until it is told to stop, or look after one with a command.

    Each option can be set by an environment variable too, PYMDC_BRIDGE_PORT and so on, and in the file that --config
    names. An option given here wins over the environment, and the environment wins over the file. The commands need the
    options of their bridge as well, before their names: pymdc bridge --config bridge.toml check.
    """
    context.obj = options
    if context.invoked_subcommand is not None:
        return
    with needs_bridge():
        from ..bridge.server import serve
    with explained():
        try:
            serve(Settings(**options), _tell, partial(read_settings, context.meta[_TYPED]))
        except KeyboardInterrupt:
            click.echo("Stopped.")


bridge.add_command(backup)
bridge.add_command(check)
bridge.add_command(migrate)
bridge.add_command(restore)
bridge.add_command(users)
