"""Check for free space on the disks of a bridge."""

from __future__ import annotations

import logging
import shutil

from .errors import Full, Unavailable
from .settings import Settings

__all__ = ["check_room"]

_log = logging.getLogger("pymdc.bridge")
_MEGABYTE = 10**6


def check_room(settings: Settings, size: float) -> None:
    """Check that a file of `size` bytes fits on the disks of a bridge, and that `minimum_free` then remains.

    Only folders are checked: the free space of an object store is unknown. The file needs space where the store is; the
    data folder holds the database and what waits to be sent to an object store. This blocks.

    Raises:
        Full: there is too little space.
        Unavailable: a folder cannot be used.
    """
    elsewhere = "://" in settings.store_location
    folders = {} if elsewhere else {settings.store_location: size}
    if elsewhere or settings.database_url.startswith("sqlite"):
        folders[str(settings.data)] = 0 if elsewhere else size
    for folder, taken in folders.items():
        try:
            free = shutil.disk_usage(folder).free
        except OSError as error:
            _log.warning("the store failed: %s", error)
            raise Unavailable("The store is not available, try again later") from error
        if free - taken < settings.minimum_free * _MEGABYTE:
            _log.warning("an upload of %d MB was refused: %d MB are free at %s", size / 1e6, free / 1e6, folder)
            raise Full
