"""A bridge on a socket: in a thread of this process, or for as long as the process lives."""

from __future__ import annotations

import asyncio
import os
import socket
import struct
import threading
from collections.abc import Callable
from dataclasses import replace
from types import TracebackType

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from .app import create_app
from .mail import Mail
from .settings import CHANNEL_REQUEST_BYTES, KEEP_ALIVE_SECONDS, SEND_SECONDS, STOP_SECONDS, Settings

__all__ = ["BridgeThread", "serve"]

_BACKLOG = 2048  # connections that wait to be accepted: uvicorn's own choice
_START_SECONDS = 30.0  # the engines are open before the thread starts; it only has to be scheduled


class BridgeThread:
    """A bridge in this process, in a background thread.

        with BridgeThread(Settings(data=folder, port=0)) as bridge:
            print(bridge.url)

    Attributes:
        url: how to reach it, such as `http://127.0.0.1:54321`.
        settings: its settings, with the port that it got.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.url = settings.base_url
        self._server: _Server | None = None
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Open the database and the store, bind the port, and serve.

        Raises:
            OSError: the port cannot be bound.
            pymdc.bridge.errors.Unavailable: the database or the store cannot be opened.
        """
        listener, self.settings = _bind(self.settings)
        self.url = replace(self.settings, public_url=None).base_url
        try:
            self._server = _Server(_config(self.settings))
        except BaseException:
            listener.close()
            raise
        self._thread = threading.Thread(
            target=self._server.run, kwargs={"sockets": [listener]}, name="pymdc-bridge", daemon=True
        )
        self._thread.start()
        self._server.serving.wait(_START_SECONDS)

    def stop(self) -> None:
        """Stop serving: what is under way has `STOP_SECONDS` to finish. Stopping twice does nothing."""
        if self._server is not None and self._thread is not None:
            self._server.should_exit = True
            self._thread.join()
        self._server = self._thread = None

    def __enter__(self) -> BridgeThread:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def serve(settings: Settings, echo: Callable[[str], None] = print) -> None:
    """Serve until the process is told to stop (SIGINT or SIGTERM).

    Arguments:
        echo: called with each line for the person who started the bridge: where its data is, how to point a program
            at it, and each activation link, as its mail is written.

    Raises:
        OSError: the port cannot be bound.
        pymdc.bridge.errors.Unavailable: the database or the store cannot be opened.
    """

    def show(mail: Mail) -> None:
        echo(f"To activate {mail.to}: {mail.link}")
        if settings.on_mail is not None:
            settings.on_mail(mail)

    listener, bound = _bind(settings)
    with listener:
        server = _Server(_config(replace(bound, on_mail=show)))
        echo(f"Data: {bound.data.resolve()}")
        echo(f"Mail: {bound.outbox.resolve()}")
        echo(f"export STORJ_BRIDGE={bound.base_url}")
        server.run(sockets=[listener])


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.serving = threading.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.serving.set()


class _Http(HttpToolsProtocol):
    """uvicorn's, but a connection that never sends anything is closed as one that sends nothing more is."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.timeout_keep_alive_task = self.loop.call_later(self.timeout_keep_alive, self.timeout_keep_alive_handler)


class _Channel(WebSocketsSansIOProtocol):
    """uvicorn's, but a peer that does not read cannot keep the connection, and what waits in it, for ever."""

    async def run_asgi(self) -> None:
        await super().run_asgi()
        self.loop.call_later(SEND_SECONDS, self._drop)

    def _drop(self) -> None:
        if self.disconnected:
            return
        # Reset it: else the kernel would go on offering what was sent already.
        connection = self.transport.get_extra_info("socket")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.transport.abort()


def _bind(settings: Settings) -> tuple[socket.socket, Settings]:
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    # The protocol is named, so that asyncio sees TCP and lets replies go out undelayed.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        reuse = int(os.name == "posix")  # a port that was just left; elsewhere two bridges could share one
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, reuse)
        listener.bind((settings.host, settings.port))
        listener.listen(_BACKLOG)
    except BaseException:
        listener.close()
        raise
    return listener, replace(settings, port=listener.getsockname()[1])


def _config(settings: Settings) -> uvicorn.Config:
    return uvicorn.Config(
        create_app(settings),
        http=_Http,
        ws=_Channel,
        ws_max_size=CHANNEL_REQUEST_BYTES,
        ws_per_message_deflate=False,  # shards are as good as random
        lifespan="on",
        log_config=None,
        access_log=False,  # it would write activation tokens
        proxy_headers=False,
        server_header=False,
        backlog=_BACKLOG,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=STOP_SECONDS,
    )
