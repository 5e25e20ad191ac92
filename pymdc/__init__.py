"""pymdc: a client of the Metadisk API, the bridge in front of the Storj network of 2016.

Every function takes `callback=`. Without it, the call blocks and returns the decoded JSON of the reply. With it, the
call runs in the background, and the callback gets the same value. Errors are never raised: they are values, which
`pymdc.errors` lists.
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
