"""The access log: a line of JSON for each request, with nothing in it that opens anything."""

from __future__ import annotations

import json
import logging
import re
import time
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from .addresses import Addresses
from .logs import log_handler, time_of
from .settings import Settings

__all__ = ["Arrivals", "open_log"]

_SECRETS = re.compile("(?<=/activations/).+|[0-9a-f]{64,}", re.IGNORECASE)  # every token is 64 digits of hex
_PATH_CHARACTERS = 256  # no path of the API is longer


def open_log(settings: Settings) -> logging.Handler | None:
    """Return what writes the access log, if there is to be one.

    Raises:
        OSError: the file cannot be written to.
    """
    return None if settings.access_log == "off" else log_handler(settings.access_log)


class Arrivals:
    """An ASGI application before another: it finds the client's address, and writes the access log."""

    def __init__(self, app: ASGIApp, addresses: Addresses, log: logging.Handler | None) -> None:
        self._app = app
        self._addresses = addresses
        self._log = log

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "lifespan":
            scope = {**scope, "client": (self._addresses.of(scope), 0)}
        if self._log is None or scope["type"] == "lifespan":
            await self._app(scope, receive, send)
        else:
            await self._logged(self._log, scope, receive, send)

    async def _logged(self, log: logging.Handler, scope: Scope, receive: Receive, send: Send) -> None:
        visit = _Visit(receive, send)
        try:
            await self._app(scope, visit.receive, visit.send)
        finally:
            line = json.dumps(visit.line(scope), separators=(",", ":"))
            log.handle(logging.makeLogRecord({"msg": line}))


class _Visit:
    """What passed in one request, or on one channel."""

    def __init__(self, receive: Receive, send: Send) -> None:
        self._receive = receive
        self._send = send
        self._began = time.monotonic()
        self._status: int | None = None
        self._received = self._sent = 0

    async def receive(self) -> Message:
        message = await self._receive()
        self._received += _size(message)
        return message

    async def send(self, message: Message) -> None:
        self._status = message.get("status", message.get("code", self._status))
        self._sent += _size(message)
        await self._send(message)

    def line(self, scope: Scope) -> dict[str, Any]:
        path = scope["raw_path"].decode("latin-1")
        return {
            "time": time_of(time.time()),
            "address": scope["client"][0],
            "method": scope.get("method", "CHANNEL"),
            "path": _SECRETS.sub("***", path)[:_PATH_CHARACTERS],
            "status": self._status,
            "received": self._received,
            "sent": self._sent,
            "ms": round((time.monotonic() - self._began) * 1000, 1),
        }


def _size(message: Message) -> int:
    return sum(len(message.get(name) or "") for name in ("body", "bytes", "text"))
