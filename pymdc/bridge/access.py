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
from .metrics import Metrics
from .settings import Settings

__all__ = ["Arrivals", "Visit", "open_log"]

_SECRETS = re.compile("(?<=/activations/).+|[0-9a-f]{64,}", re.IGNORECASE)  # every token is 64 digits of hex
_PATH_CHARACTERS = 256  # no path of the API is longer


def open_log(settings: Settings) -> logging.Handler | None:
    """Return what writes the access log, if there is to be one.

    Raises:
        OSError: the file cannot be written to.
    """
    return None if settings.access_log == "off" else log_handler(settings.access_log)


class Arrivals:
    """An ASGI application before another. It finds the client's address, writes the access log and counts.

    The other one finds itself observed by `scope["visit"]`, whose `route` it sets.
    """

    def __init__(
        self, app: ASGIApp, addresses: Addresses, log: logging.Handler | None, metrics: Metrics | None
    ) -> None:
        self._app = app
        self._addresses = addresses
        self._log = log
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        visit = Visit(receive, send)
        scope = {**scope, "client": (self._addresses.of(scope), 0), "visit": visit}
        if self._log is None and self._metrics is None:
            await self._app(scope, receive, send)
            return
        try:
            await self._app(scope, visit.receive, visit.send)
        finally:
            self._note(visit, scope)

    def _note(self, visit: Visit, scope: Scope) -> None:
        if self._log is not None:
            line = json.dumps(visit.line(scope), separators=(",", ":"))
            self._log.handle(logging.makeLogRecord({"msg": line}))
        if self._metrics is not None:
            method = _method(scope) if visit.route else "other"
            self._metrics.count(method, visit.route or "other", visit.status, visit.age, visit.received, visit.sent)


class Visit:
    """What passed in one request, or on one channel.

    Attributes:
        route: the pattern of the route that serves it; empty where none does.
        status: the status of the reply, or the code that a channel was closed with.
        received, sent: bytes of bodies and messages.
    """

    def __init__(self, receive: Receive, send: Send) -> None:
        self.route = ""
        self.status: int | None = None
        self.received = self.sent = 0
        self._receive = receive
        self._send = send
        self._began = time.monotonic()

    @property
    def age(self) -> float:
        """Seconds since it began."""
        return time.monotonic() - self._began

    async def receive(self) -> Message:
        message = await self._receive()
        self.received += _size(message)
        return message

    async def send(self, message: Message) -> None:
        self.status = message.get("status", message.get("code", self.status))
        self.sent += _size(message)
        await self._send(message)

    def line(self, scope: Scope) -> dict[str, Any]:
        path = scope["raw_path"].decode("latin-1")
        return {
            "time": time_of(time.time()),
            "address": scope["client"][0],
            "method": _method(scope),
            "path": _SECRETS.sub("***", path)[:_PATH_CHARACTERS],
            "status": self.status,
            "received": self.received,
            "sent": self.sent,
            "ms": round(self.age * 1000, 1),
        }


def _method(scope: Scope) -> str:
    return str(scope.get("method", "CHANNEL"))


def _size(message: Message) -> int:
    return sum(len(message.get(name) or "") for name in ("body", "bytes", "text"))
