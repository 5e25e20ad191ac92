"""The limit of the system on open files, and how many connections a bridge can have under it."""

from __future__ import annotations

import logging
import sys
from contextlib import suppress
from dataclasses import replace

from .settings import Settings

__all__ = ["fit_open_files"]

_log = logging.getLogger("pymdc.bridge")
_EACH = 2  # a connection is one open file, and the shard that it reads or writes is another one
_OTHERS = 64  # the database, the logs and the event loop


def fit_open_files(settings: Settings) -> Settings:
    """Raise the limit on open files as far as `max_connections` needs it; else allow fewer connections.

    Without open files a bridge cannot accept connections, and running uploads fail.
    """
    most = (_raise_limit(settings.max_connections * _EACH + _OTHERS) - _OTHERS) // _EACH
    if settings.max_connections <= most:
        return settings
    most = max(most, 1)
    _log.warning(
        "the system lets this process open too few files: --max-connections is %d, not %d; raise the limit with "
        "LimitNOFILE= in the unit, or with `ulimit -n`",
        most,
        settings.max_connections,
    )
    return replace(settings, max_connections=most)


def _raise_limit(wanted: int) -> int:
    """Raise the limit to `wanted` as far as the system allows. Return how many files may be open, at most `wanted`."""
    if sys.platform == "win32":  # pragma: no cover - sockets are no files there
        return wanted
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < wanted:
        with suppress(ValueError, OSError):  # some systems have a limit besides the one that they tell
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted if hard < 0 else min(wanted, hard), hard))
    return min(resource.getrlimit(resource.RLIMIT_NOFILE)[0], wanted)
