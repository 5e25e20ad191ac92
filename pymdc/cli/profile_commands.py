"""`pymdc profiles`: several accounts and bridges side by side."""

from __future__ import annotations

import click

from .options import complete_profile
from .output import Column
from .questions import agree
from .session import Session, common_options, pass_session

__all__ = ["profiles"]


@click.group(invoke_without_command=True)
@common_options
@click.pass_context
def profiles(context: click.Context) -> None:
    """List the profiles, or change them. A profile is a bridge, an account and a key, under a name."""
    if context.invoked_subcommand is None:
        _list(Session(context))


@profiles.command("list")
@common_options
@pass_session
def list_profiles(session: Session) -> None:
    """List the profiles."""
    _list(session)


@profiles.command()
@common_options
@click.argument("name", shell_complete=complete_profile)
@pass_session
def use(session: Session, name: str) -> None:
    """Make NAME the profile that is used where no other one is named."""
    session.profiles.use(name)
    session.output.say(f"The profile {name} is the current one.")


@profiles.command()
@common_options
@click.argument("name", shell_complete=complete_profile)
@click.argument("new")
@pass_session
def rename(session: Session, name: str, new: str) -> None:
    """Give the profile NAME the name NEW."""
    session.profiles.rename(name, new)
    session.output.say(f"The profile {name} is called {new} now.")


@profiles.command()
@common_options
@click.argument("name", shell_complete=complete_profile)
@click.option("--yes", is_flag=True, help="Do not ask.")
@pass_session
def remove(session: Session, name: str, yes: bool) -> None:
    """Forget the profile NAME with its private key. The bridge still accepts the key, so log out first."""
    profile = session.profiles.find(name)
    if profile.public_key:
        agree(f"{profile.email} is logged in with {name}. Forget its private key?", yes)
    session.profiles.remove(name)
    session.output.say(f"The profile {name} is forgotten.")


def _list(session: Session) -> None:
    current = session.profiles.current
    rows = [
        {
            "name": profile.name,
            "email": profile.email,
            "bridge": profile.bridge,
            "current": profile.name == current,
            "logged_in": bool(profile.public_key),
        }
        for profile in session.profiles.all()
    ]
    if not rows:
        session.output.say("There are no profiles yet. Next: pymdc register EMAIL, or pymdc login EMAIL")
    session.output.rows(
        rows, [Column("name", keep=True), "email", "bridge", "current", Column("logged_in", "logged in")]
    )
