"""The command `pymdc`; `python -m pymdc` is the same."""

from __future__ import annotations

import gc
import sys

__all__ = ["main"]

_INTERRUPTED = 130  # as in `cli.failures`, which may not be loaded yet


def main() -> None:
    """Run the command, or say in one line what to install. Ctrl+C while it is being loaded ends it in one line, too."""
    try:
        _run()
    except KeyboardInterrupt:
        sys.stderr.write("Error: interrupted.\n")
        sys.exit(_INTERRUPTED)


def _run() -> None:
    gc.disable()  # what is loaded stays: to look for garbage in it takes a tenth of the time that `--help` takes
    try:
        from .cli.main import cli
    except ModuleNotFoundError as error:
        if error.name != "click":
            raise
        sys.exit('The command needs more than the library: pip install "pymdc-metadisk[cli,bridge]"')
    gc.freeze()
    gc.enable()
    cli(prog_name="pymdc")


if __name__ == "__main__":
    main()
