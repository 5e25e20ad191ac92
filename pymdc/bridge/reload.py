"""Read settings again while a bridge serves: its certificate, its log level, and its limits."""

from __future__ import annotations

import errno
import logging
import ssl
import stat
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from .context import Bridge
from .options import Option, options_of
from .settings import Settings

__all__ = ["Reloader", "check_certificate"]

_log = logging.getLogger("pymdc.bridge")
_MOST_BYTES = 1024 * 1024


def check_certificate(settings: Settings) -> None:
    """Check that the TLS certificate and its key can be used.

    Raises:
        ValueError: they cannot be used.
    """
    if settings.tls_certificate is not None:
        _load(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), settings)


class Reloader:
    """Reads the settings again and applies those that can change while the bridge runs. No error ends the bridge.

    The log says what has changed and what needs a restart. If the new settings are wrong, the old ones stay.

    Arguments:
        tls: the TLS context for new connections, if the bridge uses TLS. Open connections are not changed.
        started: the settings as they were read at the start.
        reread: a function that reads them again.
    """

    def __init__(
        self, bridge: Bridge, tls: ssl.SSLContext | None, started: Settings, reread: Callable[[], Settings]
    ) -> None:
        self._bridge = bridge
        self._tls = tls
        self._last = started
        self._reread = reread

    def __call__(self) -> None:
        """Read and apply the settings now. This blocks."""
        try:
            settings = self._reread()
            if self._tls is not None:
                check_certificate(settings)
                _load(self._tls, settings)
        except Exception as error:  # noqa: BLE001 -- whatever is wrong with them, the bridge goes on
            _log.error("the settings were not changed: %s", error)
            return
        last, self._last = self._last, settings
        names = {option: option.attribute for option in options_of(Settings)}
        changed = {option for option, name in names.items() if getattr(settings, name) != getattr(last, name)}
        again = {option for option in changed if option.reloads}
        values = {option.attribute: getattr(settings, option.attribute) for option in again}
        self._bridge.reconfigure(replace(self._bridge.settings, **values))
        _log.setLevel(settings.log_level.upper())
        _log.info("the settings were read again; changed: %s", _listed(again) or "nothing")
        if changed - again:
            _log.warning("changed, but needs a restart: %s", _listed(changed - again))


def _listed(options: set[Option]) -> str:
    return ", ".join(sorted(option.name for option in options))


def _load(context: ssl.SSLContext, settings: Settings) -> None:
    if settings.tls_certificate is None:
        raise ValueError("the TLS certificate is missing")
    try:
        for path in (settings.tls_certificate, settings.tls_key):
            _require_file(Path(str(path)))
        # Without `password`, a key that needs one would make OpenSSL ask for it on the terminal.
        context.load_cert_chain(settings.tls_certificate, settings.tls_key, password="")
    except OSError as error:
        files = f"{settings.tls_certificate} or its key {settings.tls_key}"
        raise ValueError(f"the TLS certificate {files} cannot be used: {error.strerror}") from error


def _require_file(path: Path) -> None:
    """Raise an `OSError` unless this is a plain file of a usual size: OpenSSL would wait for a pipe for ever."""
    found = path.stat()
    if not stat.S_ISREG(found.st_mode):
        raise OSError(errno.EINVAL, f"{path} is not a plain file")
    if found.st_size > _MOST_BYTES:
        raise OSError(errno.EFBIG, f"{path} is larger than {_MOST_BYTES // 1024**2} MB")
