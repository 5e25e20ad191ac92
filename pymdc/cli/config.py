"""The file of `pymdc bridge --config`: TOML whose keys are the options of the command."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import Any

import click

from .extras import needs_bridge
from .plain_files import read_text

__all__ = ["read_config"]


def read_config(context: click.Context, _: click.Parameter, path: Path | None) -> None:
    """Use the options in a file as the defaults of a command.

    Raises:
        click.ClickException: the file cannot be read, is not TOML, has a key that is not an option, or a value of the
            wrong type.
    """
    if path is None:
        return
    with needs_bridge():
        tomllib: Any = importlib.import_module("tomllib" if sys.version_info >= (3, 11) else "tomli")
    try:
        values = tomllib.loads(read_text(path))
    except (OSError, ValueError) as error:
        raise click.ClickException(f"{path}: {error}") from error
    options = {option.opts[0].lstrip("-"): option for option in context.command.params if option.expose_value}
    named = {key.replace("_", "-"): key for key in values}
    unknown = [key for name, key in named.items() if name not in options]
    if unknown:
        raise click.ClickException(f"{path}: there is no option {', '.join(sorted(unknown))}")
    for name, key in named.items():
        _check_type(path, key, options[name], values[key])
    context.default_map = {str(options[name].name): values[key] for name, key in named.items()}


def _check_type(path: Path, key: str, option: click.Parameter, value: Any) -> None:
    if option.multiple:
        good, what = isinstance(value, list) and all(isinstance(each, str) for each in value), "a list of texts"
    elif isinstance(option.type, click.FloatRange):
        good, what = isinstance(value, int | float) and not isinstance(value, bool), "a number"
    elif isinstance(option.type, click.IntRange):
        good, what = isinstance(value, int) and not isinstance(value, bool), "a whole number"
    else:
        good, what = isinstance(value, str), "a text"
    if not good:
        raise click.ClickException(f"{path}: {key} is {what}, not {value!r}")
