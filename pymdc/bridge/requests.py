"""Read requests and make replies: shared by all routes."""

from __future__ import annotations

import json
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from . import fields
from .errors import Refused
from .settings import JSON_BYTES

__all__ = ["GONE", "Reply", "client", "is_gone", "read_body", "read_object"]

# Made once: `json.dumps` would make an encoder for each reply.
_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode

GONE = "pymdc.gone"
"""The name of our ASGI extension: a function that tells whether the client has closed the connection."""


class Reply(Response):
    """A JSON reply with exactly the bytes that the bridges of 2016 would send: compact, in UTF-8."""

    media_type = "application/json; charset=utf-8"

    def render(self, content: Any) -> bytes:
        return _encode(content).encode("utf-8")


def client(request: Request) -> str:
    """Return the address of a request's client."""
    return str(request.scope["client"][0])


def is_gone(request: Request) -> bool:
    """Tell whether the client has closed the connection, even while there are unread bytes from it."""
    return bool(request.scope.get("extensions", {}).get(GONE, bool)())


async def read_body(request: Request) -> bytes:
    """Return the body of a request, exactly as it came.

    Raises:
        Refused: it is longer than any body of the API.
    """
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > JSON_BYTES:
            raise Refused(413, "Request body is too large")
    return bytes(body)


async def read_object(request: Request) -> tuple[bytes, dict[str, Any]]:
    """Return the body of a request, exactly as it came, and the JSON object in it."""
    body = await read_body(request)
    return body, fields.decode_object(body)
