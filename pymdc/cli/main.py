"""The command `pymdc` and its subcommands."""

from __future__ import annotations

import click

from ..version import __version__
from .groups import LazyGroup
from .options import common_options

__all__ = ["COMMANDS", "cli"]

# Each command: where it is, and what the help says. A command's module is loaded when the command is needed.
COMMANDS = {
    "Files": {
        "ls": ("listing:ls", "List the buckets, or the files of a bucket."),
        "cp": ("cp:cp", "Copy files to a bridge, from it, or between buckets."),
        "put": ("cp:put", "Send one file, or standard input."),
        "cat": ("cp:cat", "Write files of a bridge to standard output."),
        "rm": ("rm:rm", "Remove files from a bucket."),
        "sync": ("sync:sync", "Make TARGET hold what SOURCE holds."),
        "mirror": ("mirror:mirror", "Copy a whole account into a folder, or from there to an account."),
        "mb": ("buckets:mb", "Make a bucket."),
        "rb": ("buckets:rb", "Remove a bucket."),
        "bucket": ("buckets:bucket", "Show a bucket or change it."),
        "du": ("listing:du", "Add up the sizes of files."),
        "find": ("listing:find", "Find files."),
        "token": ("listing:token", "Write a token."),
    },
    "Account": {
        "register": ("accounts:register", "Register an account at a bridge."),
        "activate": ("accounts:activate", "Activate an account with the link in its mail."),
        "login": ("accounts:login", "Log in: make a key pair, and register it with the password."),
        "logout": ("accounts:logout", "Remove the profile's key at the bridge."),
        "whoami": ("accounts:whoami", "Show the account, the bridge and the key."),
        "keys": ("key_commands:keys", "List the keys of the account, or change them."),
        "profiles": ("profile_commands:profiles", "List the profiles, or change them."),
    },
    "Other commands": {
        "doctor": ("doctor:doctor", "Find out what is wrong between this machine and the bridge."),
        "completion": ("completion_command:completion", "Print the script that makes a shell complete commands."),
        "bridge": ("bridge:bridge", "Serve a Metadisk bridge until it is told to stop."),
        "quickstart": ("quickstart:quickstart", "Run the documented flow against a bridge of its own."),
    },
}


@click.group(cls=LazyGroup, sections=COMMANDS, context_settings={"help_option_names": ["-h", "--help"]})
@common_options
@click.version_option(__version__, prog_name="pymdc")
def cli() -> None:
    """Use a bridge of the Metadisk API, and the files in it. Or run a bridge."""
