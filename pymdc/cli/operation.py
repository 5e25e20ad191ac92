"""`pymdc bridge check`, and helpers for all commands that look after a bridge."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Any

import click

from ..bridge.settings import Settings
from .extras import needs_bridge

if TYPE_CHECKING:
    from ..bridge.blobs import Blobs
    from ..bridge.check import Findings
    from ..bridge.store import Store

__all__ = ["check", "existing", "explained", "opened"]

_YES = click.option("--yes", is_flag=True, allow_from_autoenv=False, help="Do not ask.")


class _CannotTell(click.ClickException):
    exit_code = 2  # the database or the store cannot be reached: the result is unknown


@contextmanager
def explained(kind: type[click.ClickException] = click.ClickException) -> Iterator[None]:
    """Turn errors of the settings, the database and the store into one line and an exit code."""
    from ..bridge.errors import Unavailable

    try:
        yield
    except OSError as error:
        why = error.strerror or str(error)
        raise kind(why if error.filename is None else f"{error.filename}: {why}") from error
    except (ValueError, Unavailable) as error:
        raise kind(str(error)) from error


def existing(options: dict[str, Any]) -> Settings:
    """Return the settings of a bridge that has served before.

    Raises:
        ValueError: there is none.
    """
    from ..bridge.store.database import sqlite_file

    settings = Settings(**options)
    file = sqlite_file(settings.database_url)
    if file is not None and not file.is_file():
        raise ValueError(f"no bridge has its data in {settings.data if settings.database is None else file}")
    return settings


@contextmanager
def opened(
    options: dict[str, Any], kind: type[click.ClickException] = click.ClickException
) -> Iterator[tuple[Settings, Store]]:
    with needs_bridge():
        from ..bridge.store import Store
    with explained(kind):
        settings = existing(options)
        with closing(Store(settings.database_url, migrate=False)) as store:
            yield settings, store


@click.command(context_settings={"show_default": False})
@click.option(
    "--repair",
    is_flag=True,
    allow_from_autoenv=False,
    help="Repair what can be repaired, and remove shards that belong to no file and are older than five minutes.",
)
@click.option(
    "--megabytes-per-second",
    "pace",
    type=click.FloatRange(min=0, min_open=True),
    metavar="NUMBER",
    allow_from_autoenv=False,
    help="Read no faster than this, so that the disk is free for others.",
)
@_YES
@click.pass_obj
def check(options: dict[str, Any], repair: bool, pace: float | None, yes: bool) -> None:
    """Read every shard back.

    Reports the shards that are missing or damaged, with their files, and the shards in the store that belong to no
    file. The bridge may go on serving. Exits with 0 if nothing is wrong, 1 if a shard is missing or damaged, 2 if the
    database or the store cannot be reached.
    """
    with opened(options, _CannotTell) as (settings, store):
        from ..bridge.blobs import Blobs
        from ..bridge.check import check as find

        blobs = Blobs(settings.store_location)
        found = find(store, blobs, click.echo, float("inf") if pace is None else pace * 1e6)
        click.echo(
            f"{found.shards} shards ({found.size:,} bytes) read back: {len(found.wrong)} wrong, "
            f"{len(found.orphans)} orphaned."
        )
        left = len(found.wrong)
        if repair:
            left = _repair(store, blobs, found, lambda what: yes or click.confirm(what, abort=True))
    if left:
        raise SystemExit(1)


def _repair(store: Store, blobs: Blobs, found: Findings, agree: Callable[[str], object]) -> int:
    from ..bridge.repair import remove, repair

    left = 0
    if found.wrong:
        agree(f"Repair what can be repaired of {len(found.wrong)} faults?")
        left = repair(store, blobs, found, click.echo)
    if found.old:
        agree(f"Remove {len(found.old)} orphans?")
        remove(store, blobs, found.old)
        click.echo(f"{len(found.old)} orphans removed.")
    return left
