"""The rules of the protocol, without input and output: how a request looks, what is signed, what a reply means."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from email.message import Message
from http import HTTPStatus
from http.client import HTTPException
from typing import Any
from urllib.error import HTTPError
from urllib.parse import SplitResult, urljoin, urlsplit

from .calls import METHODS_WITH_BODY, NONCE, Account, Call, quote_path, quote_query, without_secrets
from .key_pair import ECDSA
from .replies import decoding_is_bounded

__all__ = [
    "Reply",
    "Request",
    "came_too_late",
    "decode",
    "prepare",
    "prepare_upload",
    "redirected",
]

_STALE_NONCE = "Invalid nonce supplied"  # the words of every bridge observed
_REDIRECTS = (301, 302, 303, 307, 308)


@dataclass(frozen=True, repr=False)
class Request:
    """A request with the exact bytes that were signed. `target` is the path and the query, below the origin."""

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes

    def __repr__(self) -> str:
        return f"<Request {self.method} {without_secrets(self.target)}>"


@dataclass(frozen=True, repr=False)
class Reply:
    """What came back, whole."""

    url: str
    status: int
    reason: str
    headers: Iterable[tuple[str, str]]
    body: bytes

    def __repr__(self) -> str:
        return f"<Reply {self.status} {without_secrets(self.url)}>"


def prepare(call: Call, base_path: str, nonce: int) -> Request:
    """Make the request of one attempt: with its nonce, and with its signature or its login.

    The signature is over `METHOD\\nPATH\\nPAYLOAD`: the path as it is sent, and the exact body (POST, PATCH, PUT)
    or the raw query string (GET, DELETE) that is sent. Observed on the bridges of 2016.
    """
    sent_path = base_path + call.path
    if call.method in METHODS_WITH_BODY:
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
    """Make the request of an upload.

    Its body has `length` bytes and is sent in pieces; `size` of these bytes are the file's.
    """
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
    """Return the call to the target of a redirect, or `None`: only a GET is redirected, and only within the origin."""
    location = dict(reply.headers).get("location")
    if reply.status not in _REDIRECTS or location is None or call.method != "GET":
        return None
    try:
        there = urlsplit(urljoin(reply.url, location))
        if _origin(there) != _origin(endpoint) or there.username is not None:
            return None
    except ValueError:  # the location is not a URL
        return None
    if not there.path.startswith(endpoint.path + "/"):
        return None
    query = "&".join(part for part in there.query.split("&") if not part.startswith(NONCE + "="))
    return replace(
        call,
        path=quote_path(there.path[len(endpoint.path) :]),
        query=quote_query(query),
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
        except (ValueError, RecursionError):  # not JSON, or nested deeper than any honest reply
            pass
    if reply.status >= HTTPStatus.BAD_REQUEST or reply.status in _REDIRECTS:
        return HTTPError(
            without_secrets(reply.url), reply.status, reply.reason, _message(reply.headers), io.BytesIO(reply.body)
        )
    return text


def came_too_late(call: Call, value: Any) -> bool:
    """Tell whether a bridge refused a call only because a higher nonce arrived before it: then nothing was done."""
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
