"""Describe one call of the API, and check it. Without input and output."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable
from urllib.parse import quote, urlencode

from .key_pair import ECDSA

__all__ = [
    "METHODS_WITH_BODY",
    "NONCE",
    "Account",
    "Call",
    "describe",
    "path",
    "quote_path",
    "quote_query",
    "without_secrets",
]

NONCE = "__nonce"
METHODS_WITH_BODY = ("POST", "PATCH", "PUT")

_FRAMING = ("connection", "content-length", "expect", "host", "transfer-encoding", "upgrade")
_ACTIVATION = re.compile(r"(/activations/)[^/]+")
# All that RFC 3986 allows in a path, and "%": a resource may be encoded already. "/" separates its segments.
_PATH_SAFE = "/%:@!$&'()*+,;=~-._"


@runtime_checkable
class Account(Protocol):
    """Credentials for HTTP Basic: a user name, and the hex of the SHA-256 of the password."""

    username: str

    def password_hash(self) -> str: ...


@dataclass(frozen=True, repr=False)
class Call:
    """One call of the API, as its caller described it, without nonce and signature.

    Attributes:
        method: in upper case.
        path: percent-encoded, below the endpoint.
        query: the part of the resource after a `?`.
        payload: the parameters without the nonce, encoded: a JSON object, or a query string.
        credentials: the key pair or the account; `None` for neither.
        headers: sent as they are.
    """

    method: str
    path: str
    query: str
    payload: str
    credentials: ECDSA | Account | None
    headers: Mapping[str, str]

    def __repr__(self) -> str:
        return f"<Call {self.method} {without_secrets(self.path)}>"

    @property
    def repeatable(self) -> bool:
        """Whether the call may be sent again after it may have reached the bridge.

        A GET may, unless it spends a token: the second reply would be a refusal, and the first one, the true one,
        would be lost.
        """
        single_use = any(name.lower() == "x-token" for name in self.headers) or "/activations/" in self.path
        return self.method == "GET" and not single_use

    @property
    def signed(self) -> bool:
        return isinstance(self.credentials, ECDSA)


def without_secrets(url: str) -> str:
    """Return a URL or a path without its query, and without the token of an activation."""
    return _ACTIVATION.sub(r"\1...", url.partition("?")[0])


def path(*segments: str) -> str:
    """Return the path of these segments. Each is percent-encoded, so an id with a "/" in it stays one segment."""
    return "".join("/" + _undotted(quote(segment, safe="")) for segment in segments)


def quote_path(path: str) -> str:
    """Percent-encode the characters that are not allowed in a path."""
    return "/".join(_undotted(segment) for segment in quote(path, safe=_PATH_SAFE).split("/"))


def quote_query(query: str) -> str:
    """Percent-encode the characters that are not allowed in a query."""
    return quote(query, safe=_PATH_SAFE + "?")


def _undotted(segment: str) -> str:
    if segment in (".", ".."):
        return segment.replace(".", "%2E")  # else URL libraries remove them, and the signature no longer fits
    return segment


def describe(
    method: str,
    resource: str,
    params: Mapping[str, Any],
    credentials: object = None,
    headers: Mapping[str, str] | None = None,
) -> Call:
    """Describe a call, and check its arguments here, in the caller's thread.

    Arguments:
        method: an HTTP method, in any case.
        resource: the path below the endpoint. Characters that a URL cannot hold are percent-encoded. A query is kept.
        params: the parameters; copied, and encoded as JSON (POST, PATCH, PUT) or as a query (all others).
        credentials: an `ECDSA` signs, an `Account` logs in, anything else does neither.
        headers: copied.

    Raises:
        TypeError, ValueError: an argument cannot be encoded. The message names it, but never shows a header's value.
    """
    if not isinstance(resource, str):
        raise TypeError(f"a resource is a str such as '/buckets', not {type(resource).__name__}")
    if not resource.isprintable() and any("\ud800" <= letter <= "\udfff" for letter in resource):
        raise ValueError("a resource must not contain half of a surrogate pair, which is not text")
    if not isinstance(params, Mapping):
        raise TypeError(f"params is a dict such as {{'name': 'photos'}}, not {type(params).__name__}")
    method = _checked_method(method)
    raw_path, _, query = resource.partition("?")
    given = {name: value for name, value in params.items() if name != NONCE}
    if method in METHODS_WITH_BODY:
        payload = json.dumps(given, separators=(",", ":"), allow_nan=False)
    else:
        payload = urlencode(given, doseq=True)
    return Call(
        method,
        quote_path("/" + raw_path.lstrip("/")),
        quote_query(query),
        payload,
        _signer_or_login(credentials),
        _checked_headers({} if headers is None else headers),
    )


def _signer_or_login(given: object) -> ECDSA | Account | None:
    if isinstance(given, ECDSA):
        return given
    if given is None or type(given) is tuple:  # the usual ways to give none: to ask for a protocol is slow
        return None
    return given if isinstance(given, Account) else None


def _checked_method(method: str) -> str:
    if not isinstance(method, str) or not method.isascii() or not method.isalpha():
        raise ValueError(f"a method is a word such as 'GET', not {method!r}")
    return method.upper()


def _checked_headers(headers: Mapping[str, str]) -> dict[str, str]:
    if not isinstance(headers, Mapping):
        raise TypeError(f"headers is a dict such as {{'x-token': '...'}}, not {type(headers).__name__}")
    checked = {}
    for name, value in headers.items():
        if str(name).lower() in _FRAMING:
            raise ValueError(f"the header {str(name)!r} is set by pymdc: leave it out")
        text = value.decode("latin-1") if isinstance(value, bytes) else str(value)
        if not (text.isascii() and text.isprintable() and str(name).isascii() and str(name).isprintable()):
            raise ValueError(f"the header {str(name)!r} must be printable ASCII")
        checked[str(name)] = text
    return checked
