"""`pymdc.explain`: say in one plain sentence what a value means."""

from __future__ import annotations

import os
import re
import socket
import ssl
from collections.abc import Callable
from concurrent.futures import CancelledError
from http import HTTPStatus
from http.client import BadStatusLine, HTTPException, IncompleteRead, RemoteDisconnected
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit

from ..errors import ChannelError, IntegrityError, MetadiskError

__all__ = ["explain"]

_ITSELF = "the file "  # how our errors about a file begin
_NUMBERS = re.compile(r"\[(?:Errno|WinError) -?\d+\] ?")


def explain(value: Any) -> str:
    """Return one plain sentence that tells a person what went wrong, or `""` if the value is a result.

    Arguments:
        value: the value of a call: a result, a refusal, `{"error": ...}`, or an exception value. The sentence names the
            host or the file, if the value has it.
    """
    if isinstance(value, dict) and "error" in value:
        return _sentence(f"The bridge refused: {value['error']}")
    if not isinstance(value, BaseException):
        return ""
    try:
        return _sentence(next(words(value) for kind, words in _WORDS if isinstance(value, kind)))
    except Exception:  # noqa: BLE001 - an exception of the program whose `__str__` raises, say
        return _sentence(f"Something went wrong: {type(value).__name__}")


def _sentence(text: str) -> str:
    line = " ".join(_NUMBERS.sub("", text).split())
    return line if line.endswith((".", "!", "?")) else line + "."


def _place(error: BaseException) -> str:
    """Return the host of an error: the one that the first attempt was to reach, else the bridge of the client."""
    reason = getattr(error, "reason", None)
    named = getattr(reason, "filename", None) or getattr(error, "host", None) or getattr(error, "filename", None)
    text = str(named or "")
    host = urlsplit(text).netloc if "://" in text else text
    return f"the bridge at {host}" if host else "the bridge"


def _http_error(error: HTTPError) -> str:
    status = f"{error.code} {error.reason}".strip()
    if error.code < HTTPStatus.BAD_REQUEST:
        return f"{_capital(_place(error))} redirected the call ({status}), and pymdc does not follow this redirect"
    return f"{_capital(_place(error))} answered with an error: {status}"


def _no_connection(error: URLError) -> str:
    place, reason = _place(error), error.reason
    for kind, words in _REASONS:
        if isinstance(reason, kind):
            return _capital(words(place, reason))
    if isinstance(reason, OSError) and reason.strerror:
        return f"{_capital(place)} cannot be reached: {reason.strerror}"
    if str(reason).startswith("malformed"):
        return _capital(str(reason))
    return f"{_capital(place)} cannot be reached: {reason}"


_REASONS: list[tuple[type[BaseException], Callable[[str, Any], str]]] = [
    (
        ssl.SSLCertVerificationError,
        lambda place, reason: f"the certificate of {place} cannot be trusted: {reason.verify_message}",
    ),
    (ssl.SSLError, lambda place, _: f"{place} makes no TLS connection: it may not speak TLS"),
    (socket.gaierror, lambda place, _: f"{place} was not found: check the address and the network"),
    (ConnectionRefusedError, lambda place, _: f"nothing answers at {place}: the connection was refused"),
    (TimeoutError, lambda place, _: f"{place} could not be reached in time"),
]


def _file_error(error: OSError) -> str:
    if error.filename is None:
        return _capital(error.strerror or str(error) or "the system reports an error")
    name = os.fsdecode(error.filename) if isinstance(error.filename, str | bytes) else str(error.filename)
    for kind, words in _FILES:
        if isinstance(error, kind):
            return words.format(name)
    reason = error.strerror or str(error)
    if reason.startswith(_ITSELF):
        return f"The file {name} {reason.removeprefix(_ITSELF)}"
    return f"The file {name} cannot be used: {reason}"


_FILES = [
    (FileNotFoundError, "There is no file {}"),
    (IsADirectoryError, "{} is a folder, not a file"),
    (NotADirectoryError, "There is no folder for {}"),
    (PermissionError, "You have no permission to use the file {}"),
    (FileExistsError, "The file {} exists already"),
]

# The first kind that fits is taken, so subclasses stand before their bases.
_WORDS: list[tuple[type[BaseException], Callable[[Any], str]]] = [
    (MetadiskError, lambda error: f"The bridge refused: {error}"),
    (HTTPError, _http_error),
    (URLError, _no_connection),
    (RemoteDisconnected, lambda error: f"{_capital(_place(error))} closed the connection without a reply"),
    (ConnectionError, lambda error: f"The connection to {_place(error)} was lost"),
    (TimeoutError, lambda error: f"{_capital(_place(error))} did not answer in time"),
    (OSError, _file_error),
    (CancelledError, lambda _: "The call was cancelled"),
    (IncompleteRead, lambda error: f"The reply of {_place(error)} ended too early"),
    (BadStatusLine, lambda error: f"{_capital(_place(error))} does not speak HTTP: it may not be a bridge"),
    (HTTPException, lambda error: f"The reply of {_place(error)} cannot be used: {error}"),
    (IntegrityError, lambda error: f"The content does not match its hash: {error}"),
    (ChannelError, lambda error: f"A farmer did not give its part of the file: {error}"),
    (BaseException, lambda error: f"Something went wrong: {type(error).__name__}: {error}"),
]


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
