"""The log of a bridge that was started as a command: one line for an event, as text or as JSON."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
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
        return _LogFile(place, encoding="utf-8")
    except OSError as error:
        raise OSError(error.errno, f"the log file {place} cannot be written: {error.strerror}") from error


class _LogFile(WatchedFileHandler):
    """A log file. While it cannot be written, lines are lost, but no error reaches the code that logs.

    The standard error gets one line when the file cannot be written any more, and one when it can be written again.
    """

    _failing = False
    _error: BaseException | None = None

    def emit(self, record: logging.LogRecord) -> None:
        self._error = None
        try:
            super().emit(record)
        except OSError as error:  # the file was moved away, and a new one cannot be opened
            self._error = error
            self._drop()
        if self._failing is not bool(self._error):
            self._failing = not self._failing
            why = f"cannot be written: {self._error}" if self._error else "can be written again"
            with suppress(OSError):
                sys.stderr.write(f"the log file {self.baseFilename} {why}\n")

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 -- the name is of the standard library
        self._error = sys.exc_info()[1]

    def _drop(self) -> None:
        """Close the old file, even if its disk is full. The next line opens a new one."""
        stream, self.stream = self.stream, None
        if stream is not None:
            with suppress(OSError):
                stream.close()

    def close(self) -> None:
        with suppress(OSError):  # what is still in memory does not fit on the disk
            super().close()


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
