"""Find the function that serves a request, and turn every error into a reply.

Starlette's router is not used: it tries one route after the other, and each request passes several layers that catch
exceptions. That would cost more than everything else that happens before the function is called.
"""

from __future__ import annotations

import asyncio
import html
import logging
import re
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from urllib.parse import unquote

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send
from starlette.websockets import WebSocket

from . import fields
from .context import Bridge
from .errors import Refused
from .limits import STOPPING
from .openapi import Description
from .requests import Reply
from .routes import channel

__all__ = ["Operation", "Routes"]

_log = logging.getLogger("pymdc.bridge")
_PARAMETER = re.compile(r"\{(\w+)\}")

_Found = tuple["Operation | None", dict[str, str]]


@dataclass(frozen=True)
class Operation:
    """One row of the route table. A route for GET also serves HEAD, unless `head` is False."""

    method: str
    path: str
    run: Callable[[Bridge, Request], Awaitable[Response]]
    about: Description
    head: bool = True

    @property
    def methods(self) -> Sequence[str]:
        return ("GET", "HEAD") if self.method == "GET" and self.head else (self.method,)


class Routes:
    """An ASGI application that serves each request by an operation, and each WebSocket as a data channel.

    Upper and lower case in paths are the same.
    """

    def __init__(self, bridge: Bridge, operations: Sequence[Operation]) -> None:
        self._bridge = bridge
        self._fixed: dict[tuple[str, str], Operation] = {}
        self._patterns: list[tuple[re.Pattern[str], dict[str, Operation]]] = []
        paths = dict.fromkeys(operation.path for operation in operations)
        for path in paths:
            mine = {method: each for each in operations if each.path == path for method in each.methods}
            if "{" in path:
                pattern = _PARAMETER.sub(r"(?P<\1>[^/]+)", path)
                self._patterns.append((re.compile(pattern, re.IGNORECASE), mine))
            else:
                self._fixed |= {(method, path): operation for method, operation in mine.items()}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await self._serve(scope, receive, send)
        except asyncio.CancelledError:  # only a bridge that stops cancels requests
            _log.warning("a transfer was cut off because the bridge stops: %s", scope["record"].route)

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            scope["record"].route = "/{path}"
            await channel.serve(self._bridge, WebSocket(scope, receive, send))
            return
        operation, parameters = self._find(scope["method"], scope["path"])
        if operation is None:
            reply = _no_route(scope)
        else:
            scope["record"].route = operation.path
            scope["path_params"] = {name: fields.storable(unquote(text)) for name, text in parameters.items()}
            reply = await self._reply(operation, Request(scope, receive))
        await reply(scope, receive, send)

    def _find(self, method: str, path: str) -> _Found:
        if (operation := self._fixed.get((method, path.lower()))) is not None:
            return operation, {}
        for pattern, operations in self._patterns:
            match = pattern.fullmatch(path)
            if match is not None and method in operations:
                return operations[method], match.groupdict()
        return None, {}

    async def _reply(self, operation: Operation, request: Request) -> Response:
        try:
            return await operation.run(self._bridge, request)
        except Refused as refused:
            return Reply({"error": refused.message}, refused.status)
        except ClientDisconnect:
            return Response(status_code=400)  # the client has gone and will not read the reply
        except asyncio.CancelledError:
            return Reply({"error": STOPPING}, 503)
        except Exception:  # noqa: BLE001 -- the one place that catches defects
            _log.exception("%s %s failed", operation.method, operation.path)
            return Reply({"error": "Internal error"}, 500)


def _no_route(scope: Scope) -> Response:
    path = html.escape(scope["raw_path"].decode("latin-1"))
    return Response(f"Cannot {scope['method']} {path}\n", 404, media_type="text/html")
