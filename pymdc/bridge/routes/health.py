"""Health checks, for load balancers and for people."""

from __future__ import annotations

import time

from starlette.requests import Request
from starlette.responses import Response

from ..context import Bridge
from ..requests import Reply
from ..settings import READY_SECONDS

__all__ = ["health", "live", "ready"]


async def live(bridge: Bridge, request: Request) -> Response:
    """GET /health/live: the process runs. This does not ask the database and the store."""
    return Reply({"status": "ok"})


async def ready(bridge: Bridge, request: Request) -> Response:
    """GET /health/ready: this process can serve requests.

    Anybody may ask this, and often. Database and store are asked at most once in `READY_SECONDS`.
    """
    if time.monotonic() > bridge.condition.ready_until:
        await _ask_the_engines(bridge)
        bridge.condition.ready_until = time.monotonic() + READY_SECONDS
    return Reply({"status": "ok"})


async def health(bridge: Bridge, request: Request) -> Response:
    """GET /health: the database and the store work now. The reply also names a clean-up that failed."""
    await _ask_the_engines(bridge)
    trouble = bridge.condition.cleaning
    return Reply({"status": "ok"} | ({"cleaning": trouble} if trouble else {}))


async def _ask_the_engines(bridge: Bridge) -> None:
    await bridge.in_database(bridge.store.check)
    await bridge.in_store(bridge.blobs.check)
