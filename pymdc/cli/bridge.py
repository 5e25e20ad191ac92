"""`pymdc bridge`: serve a bridge, or look after one."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import click

from .config import read_config
from .extras import needs_bridge
from .operation import check, explained, settings_of, users

__all__ = ["bridge"]


def _default_data() -> Path:
    base = os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share"
    return Path(base) / "pymdc-bridge"


_FOLDER = click.Path(file_okay=False, path_type=Path)
_FILE = click.Path(dir_okay=False, path_type=Path)
_COUNT = click.IntRange(min=1)
_OPTIONS = [
    click.option(
        "--config", type=click.Path(exists=True, dir_okay=False, path_type=Path), is_eager=True, expose_value=False,
        callback=read_config,
        help="A TOML file with any of these options, named as here without the dashes before: port = 80.",
    ),
    click.option("--host", default="127.0.0.1", help="The address to listen on."),
    click.option(
        "--port", type=click.IntRange(0, 65535), default=6382, help="The port to listen on; 0 takes any free one."
    ),
    click.option(
        "--data", type=_FOLDER, default=_default_data, show_default="~/.local/share/pymdc-bridge",
        help="The folder for the database, the shards and the outbox.",
    ),
    click.option(
        "--database", show_default="an SQLite file in the data folder",
        help="An SQLAlchemy URL, such as postgresql+psycopg://USER:PASSWORD@HOST/NAME.",
    ),
    click.option(
        "--store", show_default="a folder in the data folder",
        help="A folder, or s3://BUCKET/PREFIX; AWS_ENDPOINT_URL, AWS_REGION and AWS_ACCESS_KEY_ID with "
        "AWS_SECRET_ACCESS_KEY say where and who.",
    ),
    click.option(
        "--public-url", show_default="http://HOST:PORT", help="How clients reach the bridge, if it is behind a proxy."
    ),
    click.option(
        "--redirect-origin", multiple=True,
        help="Where an activation may redirect to, as https://HOST. Repeatable; in the environment, with spaces.",
    ),
    click.option("--tls-certificate", type=_FILE, help="A certificate with those above it, in PEM: speak TLS."),
    click.option("--tls-key", type=_FILE, help="Its private key, in PEM."),
    click.option(
        "--trusted-proxy", multiple=True,
        help="An address or network of a proxy whose X-Forwarded-For tells who a client is. Repeatable.",
    ),
    click.option(
        "--access-log", default="off", metavar="off|on|FILE",
        help="A line of JSON for each request: to the standard error, or to a file, which may be rotated.",
    ),
    click.option(
        "--smtp-host", show_default="write mails to the outbox", help="The server to send activation mails through."
    ),
    click.option(
        "--smtp-port", type=click.IntRange(1, 65535), show_default="587, 465 or 25, by the security",
        help="The port of that server.",
    ),
    click.option(
        "--smtp-security", type=click.Choice(["starttls", "tls", "none"]), default="starttls",
        help="How the connection to it is secured.",
    ),
    click.option("--smtp-user", help="The name to log in to it with."),
    click.option("--smtp-password", help="The password; rather in the environment or in the file, where few see it."),
    click.option("--smtp-sender", help="The address that mails come from."),
    click.option(
        "--registrations-per-hour", type=_COUNT, default=20,
        help="How many registrations an address is allowed, where mails are sent by SMTP.",
    ),
    click.option(
        "--uploads-per-address", type=_COUNT, default=32,
        help="How many uploads an address may have under way; each takes up to 16 MiB of memory.",
    ),
    click.option("--max-requests", type=_COUNT, default=512, help="How many requests may be under way."),
    click.option(
        "--max-connections", type=_COUNT, default=800,
        help="How many connections may be open, before idle ones are closed.",
    ),
    click.option(
        "--stop-seconds", type=click.FloatRange(min=0), default=30.0,
        help="How long a stopping bridge lets transfers finish.",
    ),
]  # fmt: skip


def _with_options(command: Any) -> Any:
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


@click.group(
    invoke_without_command=True,
    context_settings={"auto_envvar_prefix": "PYMDC_BRIDGE", "show_default": True},
    subcommand_metavar="[COMMAND]...",
)
@_with_options
@click.pass_context
def bridge(context: click.Context, /, **options: Any) -> None:
    """Serve a Metadisk bridge until it is told to stop, or look after one with a command.

    Each option can be set by an environment variable too, PYMDC_BRIDGE_PORT and so on, and in the file that --config
    names. An option given here wins over the environment, and that over the file. The commands need the options of
    their bridge as well, before their names: pymdc bridge --config bridge.toml check.
    """
    context.obj = options
    if context.invoked_subcommand is not None:
        return
    with needs_bridge():
        from ..bridge.server import serve
    with explained():
        try:
            serve(settings_of(options), echo=click.echo)
        except KeyboardInterrupt:
            click.echo("Stopped.")


bridge.add_command(check)
bridge.add_command(users)
