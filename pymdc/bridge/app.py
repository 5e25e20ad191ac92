"""The bridge as an ASGI application: the route table, start and stop.

To add a route, add a function in `routes/` and a row in `ROUTES`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager, closing

import anyio
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Lifespan, Receive, Scope, Send

from ..version import __version__
from . import cleaning, openapi, pages
from .access import AccessMiddleware, open_log
from .addresses import Addresses
from .context import Bridge
from .limits import LimitsMiddleware
from .metrics import Metrics
from .middleware import CompatibilityMiddleware
from .openapi import Description
from .requests import Reply
from .routes import buckets, files, health, keys, shards, users
from .routing import Operation, Routes
from .settings import Settings

__all__ = ["ROUTES", "create_app"]


async def _describe(bridge: Bridge, request: Request) -> Response:
    url = bridge.settings.base_url
    document = openapi.describe(ROUTES, __version__, url)
    return pages.home(document, url) if pages.wanted(request) else Reply(document)


ROUTES = (
    Operation("GET", "/", _describe, Description("Describe the API", reply="Document")),
    Operation("GET", "/health", health.health, Description("Tell whether the bridge works", reply="Health")),
    Operation("GET", "/health/live", health.live, Description("Tell whether the process runs", reply="Health")),
    Operation("GET", "/health/ready", health.ready, Description("Tell whether it can serve requests", reply="Health")),
    Operation(
        "POST", "/users", users.create,
        Description("Register a user", body="NewUser", reply="User", refusals=(400, 409, 413, 422, 429)),
    ),
    Operation(
        "GET", "/activations/{token}", users.activate,
        Description("Activate a user", reply="User", refusals=(400,), query=("redirect",), redirects=True),
        head=False,  # programs that check the links in mails would use up the token
    ),
    Operation("GET", "/keys", keys.index, Description("List public keys", "user", reply="[Key]")),
    Operation(
        "POST", "/keys", keys.create,
        Description("Register a public key", "user", "NewKey", "Key", refusals=(400, 413)),
    ),
    Operation(
        "DELETE", "/keys/{key}", keys.delete,
        Description("Remove a public key", "user", refusals=(404, 413)),
    ),
    Operation("GET", "/buckets", buckets.index, Description("List buckets", "user", reply="[Bucket]")),
    Operation(
        "POST", "/buckets", buckets.create,
        Description("Make a bucket", "user", "NewBucket", "Bucket", refusals=(400, 413, 422)),
    ),
    Operation(
        "GET", "/buckets/{id}", buckets.get,
        Description("Show a bucket", "user", reply="Bucket", refusals=(404,)),
    ),
    Operation(
        "PATCH", "/buckets/{id}", buckets.change,
        Description("Change a bucket", "user", "NewBucket", "Bucket", refusals=(400, 404, 413, 422)),
    ),
    Operation(
        "DELETE", "/buckets/{id}", buckets.delete,
        Description("Remove a bucket and its files", "user", status=204, refusals=(404, 413)),
    ),
    Operation(
        "POST", "/buckets/{id}/tokens", buckets.create_token,
        Description("Make a token", "user", "NewToken", "Token", refusals=(404, 413, 422)),
    ),
    Operation(
        "GET", "/buckets/{id}/files", files.index,
        Description("List files", "user", reply="[File]", refusals=(404,)),
    ),
    Operation(
        "PUT", "/buckets/{id}/files", files.upload,
        Description(
            "Store a file", "token", "Upload", "File",
            refusals=(400, 403, 404, 408, 413, 422, 507), headers=("x-filesize",),
        ),
    ),
    Operation(
        "GET", "/buckets/{id}/files/{hash}", files.pointers,
        Description("Get the pointers to the shards of a file", "token", reply="[Pointer]", refusals=(403, 404)),
    ),
    Operation(
        "GET", "/shards/{hash}", shards.get,
        Description("Get the bytes of a shard", reply="Bytes", refusals=(404, 416), query=("token",)),
    ),
    Operation(
        "DELETE", "/buckets/{id}/files/{hash}", files.delete,
        Description("Remove a file", "user", status=204, refusals=(404, 413)),
    ),
)  # fmt: skip
"""The routes for HTTP. A WebSocket on any path is a data channel."""


def create_app(settings: Settings) -> Starlette:
    """Return a bridge as an ASGI application. Its database and store are opened at once, and made if they are missing.

    `app.state.bridge` is its `Bridge`. To stop it gently, set `bridge.limits.stopping` first.

    Raises:
        OSError: the access log cannot be written, or the port for metrics cannot be used.
        Unavailable: the database or the store cannot be opened.
    """
    log = open_log(settings)
    bridge = Bridge.open(settings)
    metrics = None
    if settings.metrics_port is not None:
        metrics = Metrics(bridge, settings.metrics_host, settings.metrics_port)

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        with ExitStack() as opened:
            for each in (bridge.store, bridge.writer, log, metrics):
                if each is not None:
                    opened.enter_context(closing(each))
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(cleaning.run, bridge)
                yield
                bridge.limits.stopping = True  # this ends a clean-up at its next step
                tasks.cancel_scope.cancel()

    limited = CompatibilityMiddleware(LimitsMiddleware(Routes(bridge, ROUTES), bridge.limits))
    app = _App(AccessMiddleware(limited, Addresses(settings.trusted_proxies), log, metrics), lifespan)
    app.state.bridge = bridge
    return app


class _App(Starlette):
    """Starlette with our start and stop. Requests do not pass its layers: see `routing.py`."""

    def __init__(self, served: ASGIApp, lifespan: Lifespan[_App]) -> None:
        super().__init__(lifespan=lifespan)
        self._served = served

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await (super().__call__ if scope["type"] == "lifespan" else self._served)(scope, receive, send)
