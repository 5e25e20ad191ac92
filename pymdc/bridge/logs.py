"""The log of a bridge that was started as a command: one line for an event, as text or as JSON."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timezone
from logging.handlers import WatchedFileHandler

from .settings import Settings

__all__ = ["log_handler", "logging_as", "time_of"]


def time_of(seconds: float) -> str:
    """Return a time, given in seconds since 1970, as logs show it: `2026-11-23T03:35:04.627Z`."""
    return datetime.fromtimestamp(seconds, timezone.utc).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def log_handler(place: str) -> logging.Handler:
    """Return a handler that writes to the standard error if `place` is `"on"`, else to the file of that name.

    If the file is moved away, a new one is opened, so that logs can be rotated.

    Raises:
        OSError: the file cannot be written.
    """
    if place == "on":
        return logging.StreamHandler(sys.stderr)
    try:
        return WatchedFileHandler(place, encoding="utf-8")
    except OSError as error:
        raise OSError(error.errno, f"the log file {place} cannot be written: {error.strerror}") from error


@contextmanager
def logging_as(settings: Settings) -> Iterator[None]:
    """While this context lasts, write the log of this process as `settings` say.

    Raises:
        OSError: the log file cannot be written.
    """
    handler = log_handler(settings.log)
    handler.setFormatter(_Json() if settings.log_format == "json" else _Text())
    root, ours = logging.getLogger(), logging.getLogger("pymdc.bridge")
    level = ours.level
    root.addHandler(handler)
    ours.setLevel(settings.log_level.upper())
    try:
        yield
    finally:
        ours.setLevel(level)
        root.removeHandler(handler)
        handler.close()


class _Text(logging.Formatter):
    """`2026-11-23T03:35:04.627Z WARNING the database does not answer`: a line break in a message is shown as `\\n`."""

    def format(self, record: logging.LogRecord) -> str:
        text = f"{time_of(record.created)} {record.levelname} {record.getMessage()}"
        if record.exc_info:
            text += f"\n{self.formatException(record.exc_info)}"
        return text.replace("\r", "\\r").replace("\n", "\\n")


class _Json(logging.Formatter):
    """A JSON object with `time`, `level`, `logger` and `message`; and `error`, the traceback, if there is one."""

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": time_of(record.created),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            line["error"] = self.formatException(record.exc_info)
        return json.dumps(line, separators=(",", ":"))
