"""The commands about an account: register, activate, login, logout, whoami."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from .failures import Code, Failure, checked
from .passwords import asks_password
from .private_keys import FILE, KEYRING
from .replies import entries, entry
from .session import Session, common_options, pass_session

if TYPE_CHECKING:
    from ..api import ECDSA, Users
    from .profiles import Profile

__all__ = ["activate", "check_profile_is_free", "login", "logout", "register", "whoami"]

_ORIGIN = re.compile(r"(https?://.*)/activations/", re.IGNORECASE)
_UNKNOWN_KEY = ("public key not registered", "public key was not found")


@click.command()
@common_options
@click.argument("email")
@asks_password(twice=True)
@pass_session
def register(session: Session, email: str, password: Callable[[], str]) -> None:
    """Register an account at a bridge.

    The bridge mails a link to EMAIL. Type it after "pymdc activate", then log in.
    """
    from .profiles import Profile

    check_profile_is_free(session, email)
    session.profiles.check_can_save(session.profile_name)
    made = entry(session.user(password(), email).register())
    session.profiles.save(session.profile or Profile(session.profile_name, session.bridge.url, email))
    session.output.say(f"{email} is registered at {session.bridge.url}. The bridge mails a link. Next:")
    session.output.say("  pymdc activate LINK")
    _report(session, made)


@click.command()
@common_options
@click.argument("link", metavar="LINK-OR-TOKEN")
@pass_session
def activate(session: Session, link: str) -> None:
    """Activate an account with the link in its mail, or with the token at the end of it."""
    from ..api import Users

    found = _ORIGIN.match(link.strip())
    if found and session.bridge.source == "default":
        session.use_bridge(found[1])  # the link says which bridge it is from
    made = entry(Users(session.email or "", client=session.client).activate(link))
    email = str(made.get("email", "EMAIL"))
    session.output.say(f"{email} is active. Next:")
    session.output.say(f"  pymdc login {email}")
    _report(session, made)


@click.command()
@common_options
@click.argument("email", required=False)
@click.option("--keyring", is_flag=True, help="Keep the private key in the system's keyring, not in a file.")
@asks_password()
@pass_session
def login(session: Session, email: str | None, keyring: bool, password: Callable[[], str]) -> None:
    """Log in: make a key pair, and register it with the password of EMAIL.

    The key pair is kept, the password is not. Without EMAIL, the profile's account logs in.
    """
    from ..api import ECDSA, Keys
    from .profiles import Profile

    email = email or session.email
    if email is None:
        raise Failure("whose login? Type: pymdc login EMAIL", Code.USAGE)
    check_profile_is_free(session, email)
    session.profiles.check_can_save(session.profile_name)
    before = session.profile
    user, pair = session.user(password(), email), ECDSA()
    made = entry(Keys(user).create(pair), "key")
    kept_in = KEYRING if keyring else FILE
    profile = Profile(session.profile_name, session.bridge.url, email, pair.get_public_key(), kept_in)
    try:
        session.profiles.save(profile, pair.get_private_key())
    except BaseException:
        Keys(user).delete(pair)  # its private key is lost: it was not saved
        raise
    _drop(session, user, before)
    session.output.say(f"{email} is logged in at {profile.bridge}, in the profile {profile.name}.")
    if session.profiles.current != profile.name:
        session.output.say(f"To make it the current one: pymdc profiles use {profile.name}")
    _report(session, made)


@click.command()
@common_options
@click.option("--force", is_flag=True, help="Forget the private key even if the bridge refuses or cannot be reached.")
@pass_session
def logout(session: Session, force: bool) -> None:
    """Remove the profile's key at the bridge, and its private key here."""
    from ..api import Keys

    profile = session.profile
    if profile is None or not profile.public_key:
        raise Failure("nobody is logged in", Code.CREDENTIALS)
    session.profiles.check_can_save(profile.name)
    try:
        _remove_there(Keys(session.key_pair, client=session.client), profile.public_key)
    except Failure as failure:
        if not force:
            words = f"{failure.message} To forget the key here only: pymdc logout --force"
            raise Failure(words, Code(failure.exit_code)) from failure
        session.output.warn(f"the key {profile.public_key} may still be registered at {profile.bridge}")
    session.profiles.forget_login(profile.name)
    session.output.say(f"{profile.email} is logged out of {profile.bridge}.")


@click.command()
@common_options
@pass_session
def whoami(session: Session) -> None:
    """Show the account, the bridge and the key, and whether the bridge knows them."""
    from ..api import ECDSA, Keys

    credentials = session.credentials
    keys = entries(Keys(credentials, client=session.client).list(), "key")
    own = credentials.get_public_key() if isinstance(credentials, ECDSA) else None
    session.output.record(
        {
            "email": str(keys[0].get("user", session.email)) if keys else session.email,
            "bridge": session.bridge.url,
            "bridge_named_by": session.bridge.named_by,
            "profile": session.profile_name if own else None,
            "public_key": own,
            "keys": len(keys),
        }
    )


def check_profile_is_free(session: Session, email: str) -> None:
    """Check that the profile does not belong to another account, before it is written.

    Raises:
        Failure: it does.
    """
    profile = session.profile
    if profile is None or (profile.email.lower(), profile.bridge) == (email.lower(), session.bridge.url):
        return
    words = f"the profile {profile.name} belongs to {profile.email} at {profile.bridge}"
    raise Failure(f"{words}. Name another one: --profile NAME", Code.USAGE)


def _report(session: Session, made: dict[str, Any]) -> None:
    if session.output.json:
        session.output.object(made)


def _drop(session: Session, user: Users, before: Profile | None) -> None:
    """Remove the key of the login before this one."""
    from ..api import Keys

    if before is None or not before.public_key:
        return
    session.profiles.forget_key(before)
    try:
        _remove_there(Keys(user), before.public_key)
    except Failure as failure:
        session.output.warn(
            f"the key of the earlier login, {before.public_key}, is still registered: {failure.message}"
        )


def _remove_there(keys: Any, key: ECDSA | str) -> None:
    value = keys.delete(key)
    if not (isinstance(value, dict) and str(value.get("error")).lower().startswith(_UNKNOWN_KEY)):
        checked(value)
