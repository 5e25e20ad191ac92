"""What every request needs, whatever its route: CORS, paths, and replies that are sent before the body was read."""

from __future__ import annotations

import time
from collections.abc import Iterable

import anyio
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from .errors import Refused
from .settings import DRAIN_BYTES, DRAIN_SECONDS, READ_BYTES, READ_SECONDS

__all__ = ["CompatibilityMiddleware"]

_METHODS = "GET,HEAD,PUT,PATCH,POST,DELETE"


class CompatibilityMiddleware:
    """ASGI middleware that makes the bridge behave like those of 2016.

    OPTIONS on any path gives 204. A slash at the end of a path is ignored. Each reply has the CORS headers. A body that
    stalls is refused. A reply may be ready before the whole body was read: it is sent at once, and the rest of the body
    is read and thrown away, up to a limit. Closing the connection with unread data would destroy the reply.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            # A data channel may have any path. It is replaced, since the route does not match a path with a line break.
            await self._app({**scope, "path": "/"}, receive, send)
            return
        exchange = _Exchange(Headers(scope=scope), receive, send)
        if scope["method"] == "OPTIONS":
            await exchange.preflight()
            return
        # Routes get the path as it was sent: an encoded slash is part of a name.
        path = scope["raw_path"].decode("latin-1")
        trimmed = path[:-1] if path != "/" and path.endswith("/") else path
        await self._app({**scope, "path": trimmed}, exchange.receive, exchange.send)


class _Exchange:
    def __init__(self, request: Headers, receive: Receive, send: Send) -> None:
        self._request = request
        self._receive = receive
        self._send = send
        self._unread = request.get("content-length", "0") != "0" or "transfer-encoding" in request
        self._draining = False
        self._patience, self._arrived = READ_SECONDS, 0

    async def receive(self) -> Message:
        message: Message = {}
        began = time.monotonic()
        with anyio.move_on_after(self._patience):
            message = await self._receive()
        if not message:
            raise Refused(408, "The body of the request did not arrive in time")
        self._be_patient(time.monotonic() - began, len(message.get("body", b"")))
        self._unread = message["type"] == "http.request" and message.get("more_body", False)
        return message

    def _be_patient(self, waited: float, size: int) -> None:
        # The limit begins anew only after this many bytes, or single bytes could hold a request for ever.
        self._patience = max(0.0, self._patience - waited)
        self._arrived += size
        if self._arrived >= READ_BYTES:
            self._patience, self._arrived = READ_SECONDS, 0

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            await self._send({**message, "headers": self._with_ours(message["headers"])})
        elif self._draining and not message.get("more_body", False):
            await self._send({**message, "more_body": True})
            await self._drain()
            await self._send({"type": "http.response.body"})
        else:
            await self._send(message)

    async def preflight(self) -> None:
        headers = [(b"access-control-allow-methods", _METHODS.encode())]
        asked = self._request.get("access-control-request-headers")
        if asked:
            headers.append((b"access-control-allow-headers", asked.encode("latin-1")))
        await self.send({"type": "http.response.start", "status": 204, "headers": headers})
        await self.send({"type": "http.response.body"})

    def _with_ours(self, theirs: Iterable[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
        headers = [*theirs, (b"access-control-allow-credentials", b"true")]
        if all(name != b"vary" for name, _ in headers):
            headers.append((b"vary", b"Origin"))
        origin = self._request.get("origin")
        if origin and origin.isprintable():  # other text cannot be sent in a header
            headers.append((b"access-control-allow-origin", origin.encode("latin-1")))
        if self._unread:
            self._draining = True
            headers.append((b"connection", b"close"))
        return headers

    async def _drain(self) -> None:
        drained = 0
        with anyio.move_on_after(DRAIN_SECONDS):
            while self._unread and drained < DRAIN_BYTES:
                message = await self._receive()
                drained += len(message.get("body", b""))
                self._unread = message["type"] == "http.request" and message.get("more_body", False)
