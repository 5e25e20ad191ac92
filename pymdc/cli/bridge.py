"""`pymdc bridge`: serve a bridge."""

from __future__ import annotations

import os
from pathlib import Path

import click

from .extras import needs_bridge

__all__ = ["bridge"]


def _default_data() -> Path:
    base = os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share"
    return Path(base) / "pymdc-bridge"


@click.command(context_settings={"auto_envvar_prefix": "PYMDC_BRIDGE"})
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen on.")
@click.option("--port", default=6382, show_default=True, help="The port to listen on; 0 takes any free one.")
@click.option(
    "--data",
    type=click.Path(file_okay=False, path_type=Path),
    default=_default_data,
    show_default="~/.local/share/pymdc-bridge",
    help="The folder for the database, the shards and the outbox.",
)
@click.option("--database", help="An SQLAlchemy URL.  [default: an SQLite file in the data folder]")
@click.option("--store", help="A folder, or s3://BUCKET/PREFIX.  [default: a folder in the data folder]")
@click.option("--public-url", help="How clients reach the bridge.  [default: http://HOST:PORT]")
@click.option(
    "--redirect-origin", multiple=True, help="Where an activation may redirect to, as https://HOST. Repeatable."
)
def bridge(
    host: str,
    port: int,
    data: Path,
    database: str | None,
    store: str | None,
    public_url: str | None,
    redirect_origin: tuple[str, ...],
) -> None:
    """Serve a Metadisk bridge until it is told to stop.

    Each option can be set by an environment variable too: PYMDC_BRIDGE_PORT and so on.
    """
    with needs_bridge():
        from ..bridge.errors import Unavailable
        from ..bridge.server import serve
        from ..bridge.settings import Settings

    settings = Settings(data, host, port, database, store, public_url, redirect_origin)
    try:
        serve(settings, echo=click.echo)
    except KeyboardInterrupt:
        click.echo("Stopped.")
    except (OSError, ValueError, Unavailable) as error:
        raise click.ClickException(str(error)) from error
