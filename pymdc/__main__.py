"""The command `pymdc`; `python -m pymdc` is the same."""

from __future__ import annotations

import sys

__all__ = ["main"]


def main() -> None:
    """Run the command, or say in one line what to install."""
    try:
        from .cli.main import cli
    except ModuleNotFoundError as error:
        if error.name != "click":
            raise
        sys.exit('The command needs more than the library: pip install "pymdc-metadisk[cli,bridge]"')
    cli(prog_name="pymdc")


if __name__ == "__main__":
    main()
