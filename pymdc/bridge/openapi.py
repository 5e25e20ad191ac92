"""Describe the API as an OpenAPI 3.0 document, which GET / returns. It is made from the route table."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

__all__ = ["SCHEMAS", "Description", "describe"]

_TEXT, _NUMBER, _FLAG = {"type": "string"}, {"type": "number"}, {"type": "boolean"}
_DATE = {"type": "string", "format": "date-time"}
_OPERATIONS = {"type": "string", "enum": ["PUSH", "PULL"]}
_KEYS = {"type": "array", "items": _TEXT}


def _object(required: str = "", **properties: Any) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": "object", "properties": properties}
    return schema | ({"required": required.split()} if required else {})


SCHEMAS: Mapping[str, dict[str, Any]] = {
    "Error": _object("error", error=_TEXT),
    "Health": _object("status", status=_TEXT),
    "NewUser": _object("email password", email=_TEXT, password=_TEXT, pubkey=_TEXT, redirect=_TEXT),
    "User": _object("activated created email id", activated=_FLAG, created=_DATE, email=_TEXT, id=_TEXT, pubkey=_TEXT),
    "NewKey": _object("key", key=_TEXT),
    "Key": _object("user key id", user=_TEXT, key=_TEXT, id=_TEXT),
    "NewBucket": _object(
        name={**_TEXT, "nullable": True}, storage=_NUMBER, transfer=_NUMBER, pubkeys=_KEYS
    ),
    "Bucket": _object(
        "user created name pubkeys status transfer storage id",
        user=_TEXT, created=_DATE, name={**_TEXT, "nullable": True}, pubkeys=_KEYS, status=_TEXT,
        transfer=_NUMBER, storage=_NUMBER, id=_TEXT,
    ),
    "NewToken": _object("operation", operation=_OPERATIONS),
    "Token": _object(
        "bucket operation expires token id",
        bucket=_TEXT, operation=_OPERATIONS, expires=_DATE, token=_TEXT, id=_TEXT,
    ),
    "Bytes": {"type": "string", "format": "binary"},
    "Upload": _object("data", data={"type": "string", "format": "binary"}),
    "File": _object(
        "bucket mimetype filename size hash",
        bucket=_TEXT, mimetype=_TEXT, filename=_TEXT, size={"type": "integer"}, hash=_TEXT,
    ),
    "Pointer": _object(
        "hash token operation channel", hash=_TEXT, token=_TEXT, operation=_TEXT, channel=_TEXT, url=_TEXT
    ),
}  # fmt: skip
"""The schemas of requests and replies, by name."""

_CREDENTIALS: dict[str, list[dict[str, list[str]]]] = {
    "user": [{"basic": []}, {"publicKey": [], "signature": []}],
    "token": [{"token": []}],
    "none": [],
}
_SECURITY_SCHEMES = {
    "basic": {
        "type": "http",
        "scheme": "basic",
        "description": "The e-mail address, and the SHA-256 of the password in hex.",
    },
    "publicKey": {
        "type": "apiKey",
        "in": "header",
        "name": "x-pubkey",
        "description": "A public key on secp256k1, in hex, that the user registered.",
    },
    "signature": {
        "type": "apiKey",
        "in": "header",
        "name": "x-signature",
        "description": "DER in hex, over the SHA-256 of METHOD, path and payload, with a line feed between them. The "
        "payload is the body, or of GET and DELETE the query. It holds a rising number, `__nonce`.",
    },
    "token": {"type": "apiKey", "in": "header", "name": "x-token", "description": "A bucket token. It works once."},
}


@dataclass(frozen=True)
class Description:
    """What the document says about a route, besides its method and path.

    Attributes:
        summary: what it does.
        credentials: `"none"`, `"user"` (Basic or a signature) or `"token"`.
        body: the name of the schema of its body, if it has one.
        reply: the name of the schema of its reply, in brackets for a list; empty if there is none.
        status: the status of its reply.
        refusals: the statuses of its refusals, besides those of its credentials.
        query: the names of its query parameters.
        headers: the names of its header parameters, all required.
        redirects: whether it may redirect instead of replying.
    """

    summary: str
    credentials: str = "none"
    body: str = ""
    reply: str = ""
    status: int = 200
    refusals: tuple[int, ...] = ()
    query: tuple[str, ...] = ()
    headers: tuple[str, ...] = ()
    redirects: bool = False


class Described(Protocol):
    """A row of the route table."""

    @property
    def method(self) -> str: ...
    @property
    def path(self) -> str: ...
    @property
    def about(self) -> Description: ...


def describe(routes: Iterable[Described], version: str, url: str) -> dict[str, Any]:
    """Return the OpenAPI document of the routes of a bridge of `version`, at `url`."""
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route)
    info = {
        "title": "Metadisk Bridge API",
        "version": version,
        "description": "Accounts, public keys, buckets and files, as the Metadisk API of 2016 had them.",
    }
    return {
        "openapi": "3.0.3",
        "info": info,
        "servers": [{"url": url}],
        "paths": paths,
        "components": {"schemas": dict(SCHEMAS), "securitySchemes": _SECURITY_SCHEMES},
    }


def _operation(route: Described) -> dict[str, Any]:
    about = route.about
    operation: dict[str, Any] = {
        "summary": about.summary,
        "parameters": _parameters(route),
        "responses": _responses(about),
        "security": _CREDENTIALS[about.credentials],
    }
    if about.body:
        kind = "multipart/form-data" if about.body == "Upload" else "application/json"
        operation["requestBody"] = {"required": True, "content": {kind: {"schema": _reference(about.body)}}}
    return operation


def _parameters(route: Described) -> list[dict[str, Any]]:
    in_path = [
        {"name": name, "in": "path", "required": True, "schema": _TEXT} for name in re.findall(r"{(\w+)}", route.path)
    ]
    in_query = [{"name": name, "in": "query", "required": False, "schema": _TEXT} for name in route.about.query]
    in_headers = [{"name": name, "in": "header", "required": True, "schema": _TEXT} for name in route.about.headers]
    return in_path + in_query + in_headers


def _responses(about: Description) -> dict[str, Any]:
    done: dict[str, Any] = {"description": "Done."}
    if about.reply:
        kind = "application/octet-stream" if about.reply == "Bytes" else "application/json"
        done["content"] = {kind: {"schema": _reference(about.reply)}}
    refusals = {*about.refusals, 503} | ({401} if about.credentials != "none" else set())
    error = {"application/json": {"schema": _reference("Error")}}
    responses = {str(status): {"description": "Refused.", "content": error} for status in sorted(refusals)}
    if about.redirects:
        responses["302"] = {"description": "Redirected."}
    return {str(about.status): done} | responses


def _reference(name: str) -> dict[str, Any]:
    if name.startswith("["):
        return {"type": "array", "items": _reference(name[1:-1])}
    return {"$ref": f"#/components/schemas/{name}"} if name in SCHEMAS else {"type": "object"}
