"""The options that every command has, wherever they are typed: `pymdc --json ls`, `pymdc ls --json`."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

__all__ = ["common_options", "complete_profile", "given"]

_F = TypeVar("_F", bound=Callable[..., Any])

_KEPT = "pymdc.options"


def given(context: click.Context) -> dict[str, Any]:
    """Return the common options that were typed, by their names: `profile`, `bridge`, `json`, `quiet`, `verbose`."""
    kept: dict[str, Any] = context.meta.setdefault(_KEPT, {})
    return kept


def _keep(context: click.Context, option: click.Parameter, value: Any) -> None:
    if value:
        given(context)[str(option.name)] = value


def complete_profile(_: click.Context, __: click.Parameter, incomplete: str) -> list[CompletionItem[Any]]:
    """Offer the names of profiles after a Tab. If they cannot be read, offer nothing."""
    from click.shell_completion import CompletionItem

    from .profiles import Profiles

    try:
        names = [profile.name for profile in Profiles().all()]
    except click.ClickException:
        return []
    return [CompletionItem(name) for name in names if name.startswith(incomplete)]


def _declared(name: str, **settings: Any) -> Callable[[_F], _F]:
    return click.option(f"--{name}", expose_value=False, callback=_keep, **settings)


_OPTIONS = [
    _declared(
        "profile",
        metavar="NAME",
        shell_complete=complete_profile,
        help="Use this profile (else PYMDC_PROFILE, else the current one).",
    ),
    _declared("bridge", metavar="URL", help="Call this bridge (else STORJ_BRIDGE, else the profile's)."),
    _declared("json", is_flag=True, help="Write data as JSON, one object a line."),
    _declared("quiet", is_flag=True, help="Write data, warnings and errors only."),
    _declared("verbose", is_flag=True, help="Write more about each step, and about errors."),
]


def common_options(command: _F) -> _F:
    """Give a command the options that every command has. `Session` uses them."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command
