"""The access log: one line of JSON for each request, without tokens or other secrets."""

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

__all__ = ["AccessMiddleware", "AccessRecord", "open_log"]

_SECRETS = re.compile("(?<=/activations/).+|[0-9a-f]{64,}", re.IGNORECASE)  # every token is 64 digits of hex
_PATH_CHARACTERS = 256  # no path of the API is longer


def open_log(settings: Settings) -> logging.Handler | None:
    """Open the access log that `settings` ask for. `None`: they ask for none.

    Raises:
        OSError: the file cannot be written.
    """
    return None if settings.access_log == "off" else log_handler(settings.access_log)


class AccessMiddleware:
    """ASGI middleware that finds the client's address, writes the access log and counts requests for the metrics.

    It puts an `AccessRecord` into `scope["record"]`. The application sets `route` there.
    """

    def __init__(
        self, app: ASGIApp, addresses: Addresses, log: logging.Handler | None, metrics: Metrics | None
    ) -> None:
        self._app = app
        self._addresses = addresses
        self._log = log
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        record = AccessRecord(receive, send)
        scope = {**scope, "client": (self._addresses.of(scope), 0), "record": record}
        if self._log is None and self._metrics is None:
            await self._app(scope, receive, send)
            return
        try:
            await self._app(scope, record.receive, record.send)
        finally:
            self._note(record, scope)

    def _note(self, record: AccessRecord, scope: Scope) -> None:
        if self._log is not None:
            line = json.dumps(record.line(scope), separators=(",", ":"))
            self._log.handle(logging.makeLogRecord({"msg": line}))
        if self._metrics is not None:
            method = _method(scope) if record.route else "other"
            self._metrics.count(
                method, record.route or "other", record.status, record.age, record.received, record.sent
            )


class AccessRecord:
    """What the access log and the metrics say about one request, or about one data channel.

    Attributes:
        route: the pattern of its route; empty if no route serves it.
        status: the status of the reply, or the code that closed the channel.
        received, sent: how many bytes of bodies and messages.
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
