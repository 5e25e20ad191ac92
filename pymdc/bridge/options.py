"""Options of `pymdc bridge`: what they are and how one is declared.

Each option is declared once, as an attribute of `Settings`, with its type, its default and its help. The option of the
command line, the environment variable, the key in the file of `--config` and the table in `docs/bridge.md` are made
from that.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any, TypeVar, get_type_hints

__all__ = ["PREFIX", "Option", "option", "options_of"]

_T = TypeVar("_T")

PREFIX = "PYMDC_BRIDGE"
"""The beginning of each environment variable's name."""


@dataclass(frozen=True)
class Option:
    """One option.

    Attributes:
        attribute: the attribute of `Settings`.
        name: the option as it is typed, without the leading dashes: `public-url`. An option that may be repeated has
            the singular of the attribute.
        kind: the type of its value; `tuple` for an option that may be repeated.
        default: its default.
        help: one sentence that explains it.
        shown: the default in words, if the value itself explains nothing.
        least, most: the limits of a number.
        choices: the texts that are allowed; empty for any text.
        metavar: the placeholder for the value in the help.
        reloads: whether it can change while the bridge runs; see `Reloader`.
    """

    attribute: str
    name: str
    kind: type
    default: Any
    help: str
    shown: str | None = None
    least: int | None = None
    most: int | None = None
    choices: tuple[str, ...] = ()
    metavar: str | None = None
    reloads: bool = False

    @property
    def variable(self) -> str:
        """The environment variable that sets it."""
        return f"{PREFIX}_{self.name.replace('-', '_').upper()}"

    @property
    def shown_default(self) -> str:
        """The default as it is shown to a person; empty if there is none."""
        if self.shown is not None:
            return self.shown
        if self.default is None or self.default == ():
            return ""
        return f"{self.default:g}" if isinstance(self.default, float) else str(self.default)


def option(default: _T, help: str, *, repr: bool = True, **more: Any) -> _T:
    """Declare an attribute of `Settings` that is an option; `more` are other attributes of `Option`."""
    field: _T = dataclasses.field(default=default, repr=repr, metadata={"help": help, **more})
    return field


def options_of(settings: type) -> list[Option]:
    """Return the options that a class of settings declares, in their order."""
    kinds = get_type_hints(settings)
    declared = [field for field in dataclasses.fields(settings) if "help" in field.metadata]
    return [_option(field, kinds[field.name]) for field in declared]


def _option(field: dataclasses.Field[Any], hint: Any) -> Option:
    kind = next((each for each in getattr(hint, "__args__", ()) if each is not type(None)), hint)
    repeatable = getattr(hint, "__origin__", None) is tuple
    words = {"name": field.name.replace("_", "-"), **field.metadata}
    return Option(attribute=field.name, kind=tuple if repeatable else kind, default=field.default, **words)
