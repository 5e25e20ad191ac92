"""What to say where an extra of the package is not installed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import click

__all__ = ["needs_bridge"]


@contextmanager
def needs_bridge() -> Iterator[None]:
    """Turn a failed import of the bridge's libraries into one line that says what to install."""
    try:
        yield
    except ModuleNotFoundError as error:
        if (error.name or "").split(".")[0] == "pymdc":
            raise
        message = f'a bridge needs more than the client ({error.name}): pip install "pymdc-metadisk[bridge]"'
        raise click.ClickException(message) from error
