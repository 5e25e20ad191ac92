"""pymdc: a client of the Metadisk API, the bridge to the Storj network of 2016.

Every call takes `callback=`. Without a callback it blocks and returns the decoded JSON of the reply. With a callback it
runs in the background, and the callback gets the same value. Errors are not raised: they are values. `pymdc.errors`
lists them.
"""

from . import api, errors, keypair, rest, schedulers
from .client import Client, configure
from .config import Timeout
from .core.explanations import explain
from .core.handle import Handle
from .errors import unwrap
from .version import __version__

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


def __dir__() -> list[str]:
    return [name for name in __all__ if name != "__version__"]
