"""`pymdc keys`: the keys that may sign for an account."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from .accounts import check_profile_is_free
from .completions import complete_key
from .failures import Code, Failure, checked
from .output import Column
from .private_keys import FILE, KEYRING, write_private
from .replies import entries, entry
from .session import Session, common_options, pass_session

__all__ = ["keys"]

_SHORTEST = 8  # hex digits that name a key


@click.group(invoke_without_command=True)
@common_options
@click.pass_context
def keys(context: click.Context) -> None:
    """List the keys of the account, or change them. Each may sign for it."""
    if context.invoked_subcommand is None:
        _list(Session(context))


@keys.command("list")
@common_options
@pass_session
def list_keys(session: Session) -> None:
    """List the public keys of the account."""
    _list(session)


@keys.command()
@common_options
@click.argument("key", metavar="PUBLIC-KEY")
@pass_session
def add(session: Session, key: str) -> None:
    """Let the owner of PUBLIC-KEY, in hex, sign for the account."""
    from ..api import ECDSA, Keys

    try:
        pair = ECDSA(key)
    except ValueError as error:
        raise Failure(str(error), Code.USAGE) from error
    made = entry(Keys(session.credentials, client=session.client).create(pair), "key")
    session.output.say(f"The key {made['key']} is registered.")
    if session.output.json:
        session.output.object(made)


@keys.command()
@common_options
@click.argument("key", metavar="PUBLIC-KEY", shell_complete=complete_key)
@pass_session
def rm(session: Session, key: str) -> None:
    """Take PUBLIC-KEY from the account. The first eight digits are enough."""
    from ..api import Keys

    there = Keys(session.credentials, client=session.client)
    known = [each["key"] for each in entries(there.list(), "key")]
    found = [each for each in known if each == key.lower() or (len(key) >= _SHORTEST and each.startswith(key.lower()))]
    if not found:
        raise Failure(f"the account has no key {key}. To see all: pymdc keys", Code.NOT_FOUND)
    if len(found) > 1:
        raise Failure(f"several keys begin with {key}: {', '.join(found)}", Code.USAGE)
    if session.profile is not None and found[0] == session.profile.public_key:
        raise Failure("that is the key of this profile. To remove it: pymdc logout", Code.USAGE)
    checked(there.delete(found[0]))
    session.output.say(f"The key {found[0]} is removed.")


@keys.command("export")
@common_options
@click.argument("file", type=click.Path(dir_okay=False, allow_dash=True, path_type=Path))
@click.option("--force", is_flag=True, help="Replace a file that is there.")
@pass_session
def export_key(session: Session, file: Path, force: bool) -> None:
    """Write the private key of the profile to FILE, in hex; - is standard output.

    Only you can read the file. Everybody who has this key can use the account.
    """
    private = session.key_pair.get_private_key()
    if str(file) == "-":
        click.echo(private)
        return
    if file.exists() and not force:
        raise Failure(f"there is a file {file} already. To replace it, add --force", Code.USAGE)
    try:
        write_private(file, f"{private}\n")
    except OSError as error:
        raise Failure(f"{file} cannot be written: {error.strerror or error}") from error
    session.output.say(f"The private key is in {file}. Everybody who has it can use the account.")


@keys.command("import")
@common_options
@click.argument("file", type=click.File("r", encoding="ascii", errors="replace"))
@click.option("--keyring", is_flag=True, help="Keep the private key in the system's keyring, not in a file.")
@pass_session
def import_key(session: Session, file: Any, keyring: bool) -> None:
    """Log in with the private key in FILE, in hex, instead of a password; - is standard input.

    The key must be registered already: "pymdc keys export" wrote it on another machine, or another program made it.
    """
    from ..api import ECDSA, Keys
    from .profiles import Profile

    try:
        pair = ECDSA(None, file.read(1024).strip())
    except ValueError as error:
        raise Failure(f"{file.name} holds no private key: {error}", Code.USAGE) from error
    known = entries(Keys(pair, client=session.client).list(), "key", "user")
    if not known:
        raise Failure("the bridge does not tell whose key it is. Log in: pymdc login EMAIL", Code.NETWORK)
    email = known[0]["user"]  # the bridge has accepted the signature, so the account has this key at least
    check_profile_is_free(session, email)
    kept_in = KEYRING if keyring else FILE
    profile = Profile(session.profile_name, session.bridge.url, email, pair.get_public_key(), kept_in)
    session.profiles.save(profile, pair.get_private_key())
    session.output.say(f"{email} is logged in at {profile.bridge}, in the profile {profile.name}.")


def _list(session: Session) -> None:
    from ..api import Keys

    known = entries(Keys(session.credentials, client=session.client).list(), "key")
    own = session.profile.public_key if session.profile is not None else ""
    rows = [{**each, "this_profile": each["key"] == own} for each in known]
    session.output.rows(rows, [Column("key", keep=True), Column("this_profile", "this profile")])
