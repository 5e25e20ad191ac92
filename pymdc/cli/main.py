"""The command `pymdc` and its subcommands."""

from __future__ import annotations

import click

from ..version import __version__
from .bridge import bridge
from .quickstart import quickstart

__all__ = ["cli"]


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="pymdc")
def cli() -> None:
    """A client and a bridge of the Metadisk API."""


cli.add_command(bridge)
cli.add_command(quickstart)
