"""The rules of the protocol, without any input or output: what a request is, and what a reply means."""

from __future__ import annotations

import base64
import io
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from email.message import Message
from http import HTTPStatus
from http.client import HTTPException
from typing import Any, Protocol, runtime_checkable
from urllib.error import HTTPError
from urllib.parse import SplitResult, quote, urlencode, urljoin, urlsplit

from ..keypair import ECDSA
from .replies import decoding_is_bounded

__all__ = [
    "Account",
    "Call",
    "Reply",
    "Request",
    "call",
    "came_too_late",
    "decode",
    "path",
    "prepare",
    "prepare_upload",
    "redirected",
]

NONCE = "__nonce"

_STALE_NONCE = "Invalid nonce supplied"  # the words of every bridge observed
_FRAMING = ("connection", "content-length", "expect", "host", "transfer-encoding", "upgrade")
_METHODS_WITH_BODY = ("POST", "PATCH", "PUT")
_REDIRECTS = (301, 302, 303, 307, 308)
_ACTIVATION = re.compile(r"(/activations/)[^/]+")
# All that RFC 3986 allows in a path, and "%": a resource may be encoded already. "/" parts its segments.
_PATH_SAFE = "/%:@!$&'()*+,;=~-._"


@runtime_checkable
class Account(Protocol):
    """Credentials for HTTP Basic: a user name, and the hex of the SHA-256 of the password."""

    username: str

    def password_hash(self) -> str: ...


@dataclass(frozen=True, repr=False)
class Call:
    """One call of the API, as its caller described it: everything but the nonce and the signature.

    Attributes:
        method: in upper case.
        path: percent-encoded, below the endpoint.
        query: what the resource brought along after a `?`.
        payload: the parameters, encoded but for the nonce: a JSON object, or a query string.
        credentials: who signs or logs in; `None` for neither.
        headers: sent as they are.
    """

    method: str
    path: str
    query: str
    payload: str
    credentials: ECDSA | Account | None
    headers: Mapping[str, str]

    def __repr__(self) -> str:
        return f"<Call {self.method} {_without_secrets(self.path)}>"

    @property
    def repeatable(self) -> bool:
        """Whether the call may be sent again though it may have reached the bridge.

        A GET may, but not one that spends a bucket's token or an activation's: its second answer would be a refusal,
        and the first one, the true one, would be lost.
        """
        single_use = any(name.lower() == "x-token" for name in self.headers) or "/activations/" in self.path
        return self.method == "GET" and not single_use

    @property
    def signed(self) -> bool:
        return isinstance(self.credentials, ECDSA)


@dataclass(frozen=True, repr=False)
class Request:
    """What is sent: the exact bytes that were signed. `target` is the path and the query, below the origin."""

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes

    def __repr__(self) -> str:
        return f"<Request {self.method} {_without_secrets(self.target)}>"


@dataclass(frozen=True, repr=False)
class Reply:
    """What came back, whole."""

    url: str
    status: int
    reason: str
    headers: Iterable[tuple[str, str]]
    body: bytes

    def __repr__(self) -> str:
        return f"<Reply {self.status} {_without_secrets(self.url)}>"


def _without_secrets(url: str) -> str:
    """Return a URL or a path without its query, and without the token of an activation."""
    return _ACTIVATION.sub(r"\1...", url.partition("?")[0])


def path(*segments: str) -> str:
    """Return the path of these segments. Each is percent-encoded, so an id with a "/" in it stays one segment."""
    return "".join("/" + _undotted(quote(segment, safe="")) for segment in segments)


def _quote_path(path: str) -> str:
    return "/".join(_undotted(segment) for segment in quote(path, safe=_PATH_SAFE).split("/"))


def _undotted(segment: str) -> str:
    if segment in (".", ".."):
        return segment.replace(".", "%2E")  # else URL libraries remove them, and the signature no longer fits
    return segment


def call(
    method: str,
    resource: str,
    params: Mapping[str, Any],
    credentials: object = None,
    headers: Mapping[str, str] | None = None,
) -> Call:
    """Describe a call, and check here, in the caller's thread, what the caller wrote.

    Arguments:
        method: an HTTP method, in any case.
        resource: the path below the endpoint; what may not stand in a URL is percent-encoded. A query is kept.
        params: the parameters; copied, and encoded as JSON (POST, PATCH, PUT) or as a query (all others).
        credentials: an `ECDSA` signs, an `Account` logs in, anything else does neither.
        headers: copied.

    Raises:
        TypeError, ValueError: something cannot be encoded; the message says what, and never a header's value.
    """
    if not isinstance(resource, str):
        raise TypeError(f"a resource is a str such as '/buckets', not {type(resource).__name__}")
    if not resource.isprintable() and any("\ud800" <= letter <= "\udfff" for letter in resource):
        raise ValueError("a resource must not hold half of a surrogate pair, which is no text")
    if not isinstance(params, Mapping):
        raise TypeError(f"params is a dict such as {{'name': 'photos'}}, not {type(params).__name__}")
    method = _checked_method(method)
    raw_path, _, query = resource.partition("?")
    given = {name: value for name, value in params.items() if name != NONCE}
    if method in _METHODS_WITH_BODY:
        payload = json.dumps(given, separators=(",", ":"), allow_nan=False)
    else:
        payload = urlencode(given, doseq=True)
    return Call(
        method,
        _quote_path("/" + raw_path.lstrip("/")),
        quote(query, safe=_PATH_SAFE + "?"),
        payload,
        credentials if isinstance(credentials, ECDSA | Account) else None,
        _checked_headers({} if headers is None else headers),
    )


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
            raise ValueError(f"the header {str(name)!r} follows from the request, and cannot be given")
        text = value.decode("latin-1") if isinstance(value, bytes) else str(value)
        if not (text.isascii() and text.isprintable() and str(name).isascii() and str(name).isprintable()):
            raise ValueError(f"the header {str(name)!r} must be printable ASCII")
        checked[str(name)] = text
    return checked


def prepare(call: Call, base_path: str, nonce: int) -> Request:
    """Make the request of one attempt: with its nonce, and with its signature or its login.

    The signature is over `METHOD\\nPATH\\nPAYLOAD`: the path as it is sent, and the exact body (POST, PATCH, PUT)
    or the raw query string (GET, DELETE) that is sent. Observed on the bridges of 2016.
    """
    sent_path = base_path + call.path
    if call.method in _METHODS_WITH_BODY:
        comma = "," if len(call.payload) > 2 else ""
        payload = f'{call.payload[:-1]}{comma}"{NONCE}":{nonce}}}'
        query, body, kind = call.query, payload.encode("ascii"), {"Content-Type": "application/json"}
    else:
        query = payload = "&".join(part for part in (call.query, call.payload, f"{NONCE}={nonce}") if part)
        body, kind = b"", {}
    message = f"{call.method}\n{sent_path}\n{payload}"
    headers = {**kind, **call.headers, **_authentication(call.credentials, message)}
    return Request(call.method, f"{sent_path}?{query}" if query else sent_path, headers, body)


def prepare_upload(call: Call, base_path: str, content_type: str, *, length: int, size: int) -> Request:
    """Make the request of an upload; its body is streamed beside it, `length` bytes, `size` of them the file's."""
    headers = {
        **call.headers,
        "Content-Type": content_type,
        "Content-Length": str(length),
        "x-filesize": str(size),
    }
    return Request(call.method, base_path + call.path, headers, b"")


def _authentication(credentials: ECDSA | Account | None, message: str) -> dict[str, str]:
    if isinstance(credentials, ECDSA):
        return {"x-signature": credentials.sign(message), "x-pubkey": credentials.get_public_key("hex")}
    if credentials is not None:
        login = f"{credentials.username}:{credentials.password_hash()}".encode()
        return {"Authorization": "Basic " + base64.b64encode(login).decode("ascii")}
    return {}


def redirected(call: Call, endpoint: SplitResult, reply: Reply) -> Call | None:
    """Return the call that a redirect asks for, or `None`: only a GET is redirected, and only within the origin."""
    location = dict(reply.headers).get("location")
    if reply.status not in _REDIRECTS or location is None or call.method != "GET":
        return None
    try:
        there = urlsplit(urljoin(reply.url, location))
        if _origin(there) != _origin(endpoint) or there.username is not None:
            return None
    except ValueError:  # the location is no URL
        return None
    if not there.path.startswith(endpoint.path + "/"):
        return None
    query = "&".join(part for part in there.query.split("&") if not part.startswith(NONCE + "="))
    return replace(
        call,
        path=_quote_path(there.path[len(endpoint.path) :]),
        query=quote(query, safe=_PATH_SAFE + "?"),
        payload="",
    )


def _origin(url: SplitResult) -> tuple[str, str | None, int]:
    return url.scheme, url.hostname, url.port or (443 if url.scheme == "https" else 80)


def decode(reply: Reply) -> Any:
    """Return the value of a reply: decoded JSON, text, bytes, or an `HTTPError`; see the package's documentation."""
    text = _text(reply.body)
    if isinstance(text, str):
        if not decoding_is_bounded(reply.body):
            return HTTPException("the reply's JSON holds more values than any honest reply of its size")
        try:
            return json.loads(text, parse_constant=_no_json)
        except (ValueError, RecursionError):  # no JSON, or nested deeper than any honest reply
            pass
    if reply.status >= HTTPStatus.BAD_REQUEST or reply.status in _REDIRECTS:
        return HTTPError(
            _without_secrets(reply.url), reply.status, reply.reason, _message(reply.headers), io.BytesIO(reply.body)
        )
    return text


def came_too_late(call: Call, value: Any) -> bool:
    """Tell whether a bridge refused a signed call only because a later nonce overtook it: then nothing was done."""
    return call.signed and isinstance(value, dict) and value.get("error") == _STALE_NONCE


def _text(body: bytes) -> str | bytes:
    try:
        return body.decode("utf-8-sig")
    except UnicodeDecodeError:
        return body


def _no_json(constant: str) -> Any:
    raise ValueError(f"{constant} is no JSON")


def _message(headers: Iterable[tuple[str, str]]) -> Message:
    message = Message()
    for name, value in headers:
        message[name] = value
    return message
