"""`pymdc bridge users`: list, change and remove accounts."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

import click

from .operation import explained, opened
from .output import Column, Output

if TYPE_CHECKING:
    from ..bridge.store import Account, Accounts

__all__ = ["users"]

_EMAIL = click.argument("email")
_YES = click.option("--yes", is_flag=True, allow_from_autoenv=False, help="Do not ask.")


@click.group()
def users() -> None:
    """Look after accounts."""


@users.command("list")
@click.pass_obj
def list_users(options: dict[str, Any]) -> None:
    """List accounts: e-mail, state, day of registration, buckets, bytes stored. In a pipe, with tabs between."""
    columns = [*map(Column, ("e-mail", "state", "registered", "buckets")), Column("stored", size=True)]
    with opened(options) as (_, store):
        Output().rows(
            (
                {
                    "e-mail": account.email,
                    "state": account.state,
                    "registered": _day(account),
                    "buckets": account.buckets,
                    "stored": account.stored,
                }
                for account in store.accounts.all()
            ),
            columns,
        )


@users.command()
@_EMAIL
@click.pass_obj
def show(options: dict[str, Any], email: str) -> None:
    """Show the account of EMAIL, with its public keys."""
    with opened(options) as (settings, store):
        account, keys = store.accounts.get(email.lower()), store.accounts.keys_of(email.lower())
    if account is None:
        raise _nobody(email)
    storage, buckets = account.storage_limit, account.bucket_limit
    storage = settings.user_storage if storage is None else storage
    buckets = settings.user_buckets if buckets is None else buckets
    click.echo(f"e-mail:     {account.email}")
    click.echo(f"state:      {account.state}")
    click.echo(f"registered: {_day(account)}")
    click.echo(f"keys:       {account.keys}")
    click.echo(f"buckets:    {account.buckets} of {'any number' if buckets is None else buckets}")
    click.echo(f"stored:     {account.stored:,} bytes of {'any number' if storage is None else f'{storage:g} GB'}")
    for key in keys:
        click.echo(f"key:        {key}")


@users.command("find-key")
@click.argument("key")
@click.pass_obj
def find_key(options: dict[str, Any], key: str) -> None:
    """Print the e-mail of the account that holds the public key KEY, in hex, in any form."""
    with opened(options) as (_, store):
        from ..bridge import curve

        with explained():
            email = store.accounts.with_key(curve.point(key))
    if email is None:
        raise click.ClickException("no account holds this key")
    click.echo(email)


@users.command()
@_EMAIL
@click.pass_obj
def activate(options: dict[str, Any], email: str) -> None:
    """Activate the account of EMAIL, without the link in its mail."""
    _change(options, email, lambda accounts, email: accounts.activate(email), "is activated")


@users.command()
@_EMAIL
@click.pass_obj
def disable(options: dict[str, Any], email: str) -> None:
    """Refuse all requests of the account of EMAIL. Its files stay."""
    _change(options, email, lambda accounts, email: accounts.disable(email), "is disabled")


@users.command()
@_EMAIL
@click.pass_obj
def enable(options: dict[str, Any], email: str) -> None:
    """Accept requests of the account of EMAIL again, after `disable`."""
    _change(options, email, lambda accounts, email: accounts.activate(email), "is enabled")


@users.command()
@_EMAIL
@click.option("--storage", type=click.FloatRange(0), help="GB that all its buckets may hold together.")
@click.option("--buckets", type=click.IntRange(0), help="How many buckets it may have.")
@click.pass_obj
def limit(options: dict[str, Any], email: str, storage: float | None, buckets: int | None) -> None:
    """Set the limits of the account of EMAIL. A limit that is not given becomes the one of the bridge's settings."""
    _change(options, email, lambda accounts, email: accounts.limit(email, storage, buckets), "has its limits")


@users.command()
@_EMAIL
@click.pass_obj
def resend(options: dict[str, Any], email: str) -> None:
    """Send the activation mail of EMAIL again, with a new link. Without a mail server, the link is printed."""
    from ..bridge.mail import activation_mail, mailer

    with opened(options) as (settings, store):
        token = secrets.token_hex(32)
        if not store.accounts.renew_activation(email.lower(), token):
            raise click.ClickException(f"no account of {email} waits for its activation")
        link = f"{settings.base_url}/activations/{token}"
        mailer(settings).send(activation_mail(email.lower(), link, token))
    click.echo(f"To activate {email}: {link}" if settings.smtp_host is None else f"The mail to {email} is sent.")


@users.command()
@_EMAIL
@click.pass_obj
def password(options: dict[str, Any], email: str) -> None:
    """Give the account of EMAIL another password. It is asked for: all users of the machine can read arguments."""
    from ..bridge.passwords import Passwords

    password = click.prompt("Password", hide_input=True, confirmation_prompt=True)
    # What clients send is the SHA-256 of what a person types, in hex.
    hashed = Passwords().hash(hashlib.sha256(password.encode()).hexdigest())
    _change(options, email, lambda accounts, email: accounts.set_password(email, hashed), "has its new password")


@users.command()
@_EMAIL
@_YES
@click.pass_obj
def remove(options: dict[str, Any], email: str, yes: bool) -> None:
    """Remove the account of EMAIL with its keys, its buckets and their files."""
    yes or click.confirm(f"Remove {email} and all files in the buckets of this account?", abort=True)
    done = "is removed. A bridge gives the room of the files back within a minute"
    _change(options, email, lambda accounts, email: accounts.remove(email), done)


def _change(options: dict[str, Any], email: str, change: Callable[[Accounts, str], bool], done: str) -> None:
    with opened(options) as (_, store):
        if not change(store.accounts, email.lower()):
            raise _nobody(email)
    click.echo(f"{email} {done}.")


def _nobody(email: str) -> click.ClickException:
    return click.ClickException(f"there is no account of {email}")


def _day(account: Account) -> str:
    return str(datetime.fromtimestamp(account.created / 1000, timezone.utc).date())
