"""`pymdc bridge backup`, `restore` and `migrate`."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import Any

import click

from ..bridge.settings import Settings
from .extras import needs_bridge
from .operation import existing, explained

__all__ = ["backup", "migrate", "restore"]

_FOLDER = click.argument("folder", type=click.Path(file_okay=False, path_type=Path))


@click.command()
@_FOLDER
@click.pass_obj
def backup(options: dict[str, Any], folder: Path) -> None:
    """Copy a bridge on SQLite into FOLDER, while it serves.

    The copy is consistent. A later copy into the same folder copies only what is new. Exits with 1 if a shard could not
    be copied because it is missing or damaged.
    """
    with needs_bridge():
        from ..bridge.backup import backup as copy
    with explained():
        failed = copy(existing(options), folder, click.echo)
    _tell(failed, f"Copied to {folder}.")


@click.command()
@_FOLDER
@click.pass_obj
def restore(options: dict[str, Any], folder: Path) -> None:
    """Make a new bridge from the copy in FOLDER. It replaces no bridge."""
    with needs_bridge():
        from ..bridge.backup import restore as put_back
    with explained():
        settings = Settings(**options)
        failed = put_back(settings, folder, click.echo)
    _tell(failed, f"Restored to {settings.data}.")


@click.command()
@click.option("--show", is_flag=True, allow_from_autoenv=False, help="Show the steps that are missing; change nothing.")
@click.pass_obj
def migrate(options: dict[str, Any], show: bool) -> None:
    """Bring the tables of the database to this release. A bridge that starts does so by itself."""
    with needs_bridge():
        from ..bridge.store.database import Database
    with explained():
        settings = existing(options) if show else Settings(**options)
        with closing(Database(settings.database_url)) as database:
            pending = database.pending()
            for step in pending:
                click.echo(step)
            if pending and not show:
                database.migrate()
            click.echo(f"{len(pending)} steps {'are missing' if show else 'were made'}.")


def _tell(failed: int, done: str) -> None:
    click.echo(done if not failed else f"{done} {failed} shards are missing or damaged.")
    if failed:
        raise SystemExit(1)
