"""The command `pymdc` and its subcommands."""

from __future__ import annotations

import click

from ..version import __version__
from .groups import LazyGroup
from .options import common_options

__all__ = ["COMMANDS", "cli"]

# Each command: where it is, and what the help says. A command's module is loaded when the command is needed.
COMMANDS = {
    "Other commands": {
        "bridge": ("bridge:bridge", "Serve a Metadisk bridge until it is told to stop."),
        "quickstart": ("quickstart:quickstart", "Run the documented flow against a bridge of its own."),
    },
}


@click.group(cls=LazyGroup, sections=COMMANDS, context_settings={"help_option_names": ["-h", "--help"]})
@common_options
@click.version_option(__version__, prog_name="pymdc")
def cli() -> None:
    """Use a bridge of the Metadisk API, and the files in it. Or run a bridge."""
