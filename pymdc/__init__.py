"""pymdc: a client of the Metadisk API, the bridge to the Storj network of 2016.

Every call takes `callback=`. Without a callback it blocks and returns the decoded JSON of the reply. With a callback it
runs in the background, and the callback gets the same value. Errors are not raised: they are values. `pymdc.errors`
lists them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .version import __version__

if TYPE_CHECKING:
    from . import api, errors, keypair, rest, schedulers
    from .client import Client, configure
    from .config import Timeout
    from .core.explanations import explain
    from .core.handle import Handle
    from .errors import unwrap

__all__ = [
    "Client",
    "Handle",
    "Timeout",
    "__version__",
    "api",
    "configure",
    "errors",
    "explain",
    "keypair",
    "rest",
    "schedulers",
    "unwrap",
]

# The library is loaded when a name of it is first used: the command `pymdc --help` does not wait for it.
_MODULES = ("api", "client", "config", "core", "errors", "keypair", "rest", "schedulers", "transfers")
_NAMES = {
    "Client": "client",
    "Handle": "core.handle",
    "Timeout": "config",
    "configure": "client",
    "explain": "core.explanations",
    "unwrap": "errors",
}


def __getattr__(name: str) -> Any:
    """Load what is asked for. Python calls this for a name that is not here yet."""
    if name not in _MODULES and name not in _NAMES:
        raise AttributeError(f"module 'pymdc' has no attribute {name!r}")
    from importlib import import_module

    if name in _MODULES:
        return import_module(f"pymdc.{name}")
    value = globals()[name] = getattr(import_module(f"pymdc.{_NAMES[name]}"), name)
    return value


def __dir__() -> list[str]:
    return [name for name in __all__ if name != "__version__"]
