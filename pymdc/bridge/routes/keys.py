"""The public keys of a user."""

from __future__ import annotations

from functools import partial

from starlette.requests import Request
from starlette.responses import Response

from .. import auth, curve, fields
from ..context import Bridge
from ..errors import Refused
from ..listing import listing
from ..requests import Reply, read_body, read_object

__all__ = ["create", "delete", "index"]


async def index(bridge: Bridge, request: Request) -> Response:
    """GET /keys"""
    user = await auth.user(bridge, request)
    page = partial(bridge.store.users.page_of_keys, user.email)
    return await listing(bridge, page, lambda key: _shown(user.email, key.text))


async def create(bridge: Bridge, request: Request) -> Response:
    """POST /keys"""
    body, sent = await read_object(request)
    user = await auth.user(bridge, request, body)
    key = fields.public_key(*([sent["key"]] if "key" in sent else []))
    await bridge.in_database(bridge.store.users.add_key, user.email, key)
    return Reply(_shown(user.email, key[0]))


async def delete(bridge: Bridge, request: Request) -> Response:
    """DELETE /keys/:key"""
    user = await auth.user(bridge, request, await read_body(request))
    try:
        point = curve.point(request.path_params["key"])
    except ValueError:
        raise Refused(404, "Public key was not found") from None
    await bridge.in_database(bridge.store.users.delete_key, user.email, point)
    return Response()


def _shown(email: str, key: str) -> dict[str, str]:
    return {"user": email, "key": key, "id": key}
