"""Buckets and their tokens."""

from __future__ import annotations

import secrets
from functools import partial
from typing import Any

import anyio
from starlette.requests import Request
from starlette.responses import Response

from .. import auth, fields
from ..context import Bridge
from ..errors import Refused
from ..listing import listing
from ..requests import Reply, read_body, read_object
from ..store import Bucket

__all__ = ["change", "create", "create_token", "delete", "get", "index"]

_KEYS_AT_A_TIME = 64  # reading a key takes about ten microseconds
_NAME, _STORAGE, _TRANSFER = "New Bucket", 10.0, 30.0


async def index(bridge: Bridge, request: Request) -> Response:
    """GET /buckets"""
    accepted = await auth.user_and_buckets(bridge, request)
    if accepted.buckets is not None:
        return Reply([_shown(bucket) for bucket in accepted.buckets])
    return await listing(bridge, partial(bridge.store.buckets.page, accepted.user.email), _shown)


async def create(bridge: Bridge, request: Request) -> Response:
    """POST /buckets"""
    body, sent = await read_object(request)
    user = await auth.user(bridge, request, body)
    keys = [] if sent.get("pubkeys") is None else await _keys(sent["pubkeys"])
    if user.key is not None and user.key[1] not in {point for _, point in keys}:
        keys.append(user.key)
    values = _values({"name": _NAME, "storage": _STORAGE, "transfer": _TRANSFER} | sent)
    made = await bridge.in_database(
        bridge.store.buckets.create, user.email, values, keys, bridge.now(), bridge.allowance
    )
    return Reply(_shown(made))


async def get(bridge: Bridge, request: Request) -> Response:
    """GET /buckets/:id"""
    user = await auth.user(bridge, request)
    return Reply(_shown(await bridge.in_database(bridge.store.buckets.get, request.path_params["id"], user.email)))


async def change(bridge: Bridge, request: Request) -> Response:
    """PATCH /buckets/:id"""
    body, sent = await read_object(request)
    user = await auth.user(bridge, request, body)
    # An unknown bucket is reported before a wrong key, as by the bridges of 2016.
    found = await bridge.in_database(bridge.store.buckets.get, request.path_params["id"], user.email)
    keys = await _keys(sent["pubkeys"]) if "pubkeys" in sent else None
    changed = await bridge.in_database(bridge.store.buckets.change, found.id, user.email, _values(sent), keys)
    return Reply(_shown(changed))


async def delete(bridge: Bridge, request: Request) -> Response:
    """DELETE /buckets/:id"""
    user = await auth.user(bridge, request, await read_body(request))
    await bridge.in_database(bridge.store.buckets.delete, request.path_params["id"], user.email)
    return Response(status_code=204)


async def create_token(bridge: Bridge, request: Request) -> Response:
    """POST /buckets/:id/tokens"""
    body, sent = await read_object(request)
    bucket, signed = await auth.token_access(bridge, request, body, request.path_params["id"])
    operation = sent.get("operation")
    if operation not in ("PUSH", "PULL"):
        raise Refused(422, "Token validation failed")
    token = secrets.token_hex(32)
    expires = await bridge.in_database(bridge.store.tokens.create, token, bucket.id, operation, signed, bridge.now())
    shown = {"bucket": bucket.id, "operation": operation, "expires": fields.iso_date(expires)}
    return Reply(shown | {"token": token, "id": token})


async def _keys(sent: Any) -> list[fields.Key]:
    keys: list[fields.Key] = []
    texts = fields.key_texts(sent)
    for start in range(0, len(texts), _KEYS_AT_A_TIME):
        keys += fields.bucket_keys(texts[start : start + _KEYS_AT_A_TIME])
        await anyio.sleep(0)  # let other requests run
    return keys


def _values(sent: dict[str, Any]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    if "name" in sent:
        values["name"] = fields.bucket_name(sent["name"])
    if "storage" in sent:
        values["storage"] = fields.gigabytes(sent["storage"], _STORAGE)
    if "transfer" in sent:
        values["transfer"] = fields.gigabytes(sent["transfer"], _TRANSFER)
    return values


def _shown(bucket: Bucket) -> dict[str, Any]:
    return {
        "user": bucket.email,
        "created": fields.iso_date(bucket.created),
        "name": bucket.name,
        "pubkeys": [text for text, _ in bucket.keys],
        "status": "Active",
        "transfer": fields.plain_number(bucket.transfer),
        "storage": fields.plain_number(bucket.storage),
        "id": bucket.id,
    }
