"""Limits on how much a bridge does at once. New work is refused when there is too much, or when the bridge stops.

uvicorn has a limit of its own (`limit_concurrency`), which is not used: it counts connections, idle ones too, refuses
all clients alike, and in plain text. These limits count work, give each address a share, and refuse in JSON.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractContextManager, asynccontextmanager, contextmanager

from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Receive, Scope, Send
from starlette.websockets import WebSocket

from .addresses import neighbourhood
from .connections import share
from .errors import Refused, Unavailable
from .queues import Queues
from .requests import Reply
from .settings import Settings

__all__ = ["STOPPING", "Limits", "LimitsMiddleware"]

STOPPING = "The bridge is stopping, try again later"


class Limits:
    """Counts what one process is doing. The limits protect the process, so each process has its own.

    Attributes:
        stopping: set this to stop the bridge. Then new requests are refused.
        requests, channels: how many are running.
        uploads: the uploads that are running, and those that wait.
    """

    def __init__(self, settings: Settings) -> None:
        self.stopping = False
        self.settings = settings
        self.requests = self.channels = 0
        self.uploads = Queues()
        self._requests: Counter[str] = Counter()

    @property
    def busy(self) -> bool:
        """Whether anything is running."""
        return self.requests + self.channels > 0

    @contextmanager
    def request(self, address: str) -> Iterator[None]:
        """Count a request from an address while it runs.

        Raises:
            Refused: the requests of this address have reached its share.
            Unavailable: there are too many requests, or the bridge is stopping.
        """
        self._refuse_when_stopping()
        group = neighbourhood(address)
        if self.requests >= self.settings.max_requests:
            raise Unavailable("The bridge is too busy, try again later")
        if self._requests[group] >= share(self.settings.max_requests):
            raise Refused(429, "Too many requests at once from this address, try again later")
        self.requests += 1
        self._requests[group] += 1
        try:
            yield
        finally:
            self.requests -= 1
            self._requests[group] -= 1
            if not self._requests[group]:
                del self._requests[group]

    @contextmanager
    def health(self) -> Iterator[None]:
        """Let a health check pass, however many requests are running.

        Raises:
            Unavailable: the bridge is stopping.
        """
        self._refuse_when_stopping()
        yield

    @contextmanager
    def channel(self) -> Iterator[None]:
        """Count a data channel while it is open. Their number is limited by the number of connections.

        Raises:
            Unavailable: the bridge is stopping.
        """
        self._refuse_when_stopping()
        self.channels += 1
        try:
            yield
        finally:
            self.channels -= 1

    @asynccontextmanager
    async def upload(self, address: str, is_gone: Callable[[], bool]) -> AsyncIterator[None]:
        """Wait until an address has fewer than its share of running uploads, then count one while it runs.

        Arguments:
            is_gone: tells whether the client has disconnected. Nothing is read from it during the wait.

        Raises:
            ClientDisconnect: the client has disconnected.
            Unavailable: the bridge is stopping.
        """

        def look() -> None:
            self._refuse_when_stopping()
            if is_gone():
                raise ClientDisconnect

        async with self.uploads.turn(neighbourhood(address), self.settings.uploads_per_address, look):
            yield

    def _refuse_when_stopping(self) -> None:
        if self.stopping:
            raise Unavailable(STOPPING)


class LimitsMiddleware:
    """ASGI middleware that refuses what `limits` do not allow."""

    def __init__(self, app: ASGIApp, limits: Limits) -> None:
        self._app = app
        self._limits = limits

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        passed = False
        try:
            with self._counted(scope):
                passed = True
                await self._app(scope, receive, send)
        except Refused as refused:
            if passed:
                raise
            await _refuse(refused, scope, receive, send)

    def _counted(self, scope: Scope) -> AbstractContextManager[None]:
        if scope["type"] == "websocket":
            return self._limits.channel()
        asks_for_health = scope["path"].lower().startswith("/health")
        return self._limits.health() if asks_for_health else self._limits.request(scope["client"][0])


async def _refuse(refused: Refused, scope: Scope, receive: Receive, send: Send) -> None:
    reply = Reply({"error": refused.message}, refused.status)
    if scope["type"] == "websocket":
        await WebSocket(scope, receive, send).send_denial_response(reply)
    else:
        await reply(scope, receive, send)
