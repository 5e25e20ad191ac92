"""The public classes, over a bridge that is scripted where httpx meets the network."""

import inspect
from collections.abc import Callable
from typing import Any


def positional(function: Callable[..., Any]) -> str:
    """Return the signature that a program of 2016 relies on: arguments by position, and their defaults."""
    kept = []
    for parameter in inspect.signature(function).parameters.values():
        if parameter.kind is parameter.POSITIONAL_OR_KEYWORD:
            default = "" if parameter.default is parameter.empty else f"={parameter.default!r}"
            kept.append(parameter.name + default)
        else:
            assert parameter.kind is parameter.KEYWORD_ONLY
            assert parameter.default is not parameter.empty
    return ", ".join(kept)
