"""Reading requests and making replies: what all routes share."""

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
"""The name of the extension of ASGI by which a connection tells whether its peer has closed it."""


class Reply(Response):
    """A reply in JSON, byte for byte as the bridges of 2016 wrote it: compact, in UTF-8."""

    media_type = "application/json; charset=utf-8"

    def render(self, content: Any) -> bytes:
        return _encode(content).encode("utf-8")


def client(request: Request) -> str:
    """Return the address of a request's client."""
    return str(request.scope["client"][0])


def is_gone(request: Request) -> bool:
    """Tell whether a request's client has closed its connection, though what it sent was not read to the end."""
    return bool(request.scope.get("extensions", {}).get(GONE, bool)())


async def read_body(request: Request) -> bytes:
    """Return the body of a request, exactly as it came.

    Raises:
        Refused: it is longer than any that the API knows.
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
