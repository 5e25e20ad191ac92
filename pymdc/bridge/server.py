"""Run a bridge on a port: in a thread (`BridgeThread`), or as the whole process (`serve`)."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from multiprocessing.synchronize import Event
from types import TracebackType

import uvicorn

from .app import create_app
from .connections import Connections, listen, serve_connections
from .context import Bridge
from .input import Input
from .logs import logging_as
from .mail import Mail
from .open_files import fit_open_files
from .protocols import Channel, Http
from .reload import Reloader, check_certificate
from .settings import CANCEL_SECONDS, CHANNEL_REQUEST_BYTES, INPUT_BYTES, KEEP_ALIVE_SECONDS, Settings
from .workers import end_with_parent, supervise

__all__ = ["BridgeThread", "greeting", "serve"]

_TICK_SECONDS = 0.05  # how often a stopping bridge checks whether everything has ended
_KILL_SECONDS = 15.0  # how many seconds more than `stop_seconds` workers get before they are killed
_START_SECONDS = 30.0  # much longer than a start: the database and the store are open before the thread starts


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
            OSError: the port cannot be bound, or the access log cannot be written.
            ValueError: a setting cannot be used.
            pymdc.bridge.errors.Unavailable: the database or the store cannot be opened.
        """
        listener, self.settings = _bind(self.settings)
        self.url = replace(self.settings, public_url=None).base_url
        try:
            self._server = _server(self.settings, listener)
        except BaseException:
            listener.close()
            raise
        self._thread = threading.Thread(target=self._server.run, name="pymdc-bridge", daemon=True)
        self._thread.start()
        self._server.serving.wait(_START_SECONDS)

    def stop(self) -> None:
        """Stop serving. Running requests get `stop_seconds` to finish. Stopping twice does nothing."""
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


def serve(
    settings: Settings, echo: Callable[[str], None] = print, reread: Callable[[], Settings] | None = None
) -> None:
    """Serve until the process is told to stop (SIGINT or SIGTERM). On SIGHUP, read settings again: see `Reloader`.

    Arguments:
        echo: called with each line for the person who started the bridge: where the data is, how programs find the
            bridge, and each activation link if mails go to the outbox.
        reread: a function that reads the settings again. Without it, only the certificate is read again.

    Raises:
        OSError: the port cannot be bound, or the access log cannot be written.
        ValueError: a setting cannot be used.
        pymdc.bridge.errors.Unavailable: the database or the store cannot be opened.
    """
    listener, bound = _bind(settings)
    reread = reread or partial(_unchanged, settings)

    def greet() -> None:
        for line in greeting(bound):
            echo(line)

    with listener:
        if bound.workers == 1:
            _serve_on(listener, bound, greet, echo, reread)
        else:
            check_certificate(bound)
            Bridge.open(bound).store.close()  # report errors once, not in each worker, and create the tables
            with logging_as(bound):
                patience = bound.stop_seconds + _KILL_SECONDS
                supervise(bound.workers, _work, (listener, bound, reread), patience, greet)


def greeting(settings: Settings) -> list[str]:
    """Return the lines for the person who has started a bridge with such settings, once it serves."""
    lines = [
        f"Data: {settings.data.resolve()}",
        f"Mail: {settings.outbox.resolve() if settings.smtp_host is None else settings.smtp_host}",
        f"export STORJ_BRIDGE={settings.base_url}",
    ]
    if settings.listens_everywhere and settings.public_url is None:
        lines += [
            f"Warning: links in mails and downloads begin with {settings.base_url}; other machines cannot reach it.",
            "Set --public-url to the address by which they reach this bridge, such as https://bridge.example.",
        ]
    return lines


def _unchanged(settings: Settings) -> Settings:
    return settings


def _serve_on(
    listener: socket.socket,
    settings: Settings,
    greet: Callable[[], None],
    echo: Callable[[str], None],
    reread: Callable[[], Settings],
) -> None:
    def show(mail: Mail) -> None:
        if settings.smtp_host is None:
            echo(f"To activate {mail.to}: {mail.link}")
        if settings.on_mail is not None:
            settings.on_mail(mail)

    def ready() -> None:
        if hasattr(signal, "SIGHUP"):  # pragma: no branch - Windows has none
            reload = Reloader(server.bridge, server.config.ssl, reread(), reread)
            asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, reload)
        greet()

    with logging_as(settings):
        server = _server(fit_open_files(replace(settings, on_mail=show)), listener, ready)
        server.run()


def _work(
    number: int, listener: socket.socket, settings: Settings, reread: Callable[[], Settings], serving: Event
) -> None:
    """Serve in a worker process, until SIGTERM or until the supervisor has died."""
    end_with_parent()
    settings = replace(settings, metrics_port=settings.metrics_port and settings.metrics_port + number)
    with listener:
        _serve_on(listener, settings, serving.set, partial(print, flush=True), reread)


class _Server(uvicorn.Server):
    """uvicorn's server, but it counts connections, and lets running requests finish before it closes the port.

    Attributes:
        serving: set when it serves.
        loop: its event loop.
        bridge: the bridge that it serves.
    """

    def __init__(
        self,
        config: uvicorn.Config,
        listener: socket.socket,
        connections: Connections,
        bridge: Bridge,
        greet: Callable[[], None],
    ) -> None:
        super().__init__(config)
        self.serving = threading.Event()
        self.loop: asyncio.AbstractEventLoop | None = None
        self._listener = listener
        self._connections = connections
        self._greet = greet
        self.bridge = bridge
        self._input = memoryview(bytearray(INPUT_BYTES))
        self._accepting: asyncio.Task[None] | None = None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup([])  # connections are accepted here, not there
        self.loop = asyncio.get_running_loop()
        serving = serve_connections(self._listener, self._connections, self._protocol, self.config.ssl)
        self._accepting = self.loop.create_task(serving)
        self.serving.set()
        self._greet()  # only now: from here on signals are handled too

    def _protocol(self) -> asyncio.BaseProtocol:
        http = Http(
            config=self.config,
            server_state=self.server_state,
            app_state=self.lifespan.state,
            opened=self._connections,
        )
        return http if os.name == "nt" else Input(http, self._input)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self.bridge.limits.stopping = True
        end = time.monotonic() + self.bridge.settings.stop_seconds
        while self.bridge.limits.busy and time.monotonic() < end and not self.force_exit:
            await asyncio.sleep(_TICK_SECONDS)
        if self._accepting is not None:  # pragma: no branch - `None` if it was stopped before it started
            self._accepting.cancel()
            await asyncio.gather(self._accepting, return_exceptions=True)
        self._listener.close()
        await super().shutdown([])
        for connection in list(self.server_state.connections):  # their clients do not read what was sent to them
            connection.transport.abort()
        await asyncio.sleep(0)  # in this turn of the loop they are closed


def _bind(settings: Settings) -> tuple[socket.socket, Settings]:
    try:
        listener = listen(settings.host, settings.port)
    except OSError as error:
        raise OSError(error.errno, f"{_cannot_listen(settings)}: {error.strerror or error}") from error
    return listener, replace(settings, port=listener.getsockname()[1])


def _cannot_listen(settings: Settings) -> str:
    return f"the bridge cannot listen on port {settings.port} of {settings.host} (choose others with --port and --host)"


def _server(settings: Settings, listener: socket.socket, greet: Callable[[], None] = lambda: None) -> _Server:
    check_certificate(settings)
    app, connections = create_app(settings), Connections(settings)
    config = uvicorn.Config(
        app,
        loop="asyncio",  # the same loop on all machines; uvloop is not faster here
        ws=Channel,
        ws_max_size=CHANNEL_REQUEST_BYTES,
        ws_ping_interval=None,  # the pong of a slow client would come too late, and `Reader` watches it
        ws_per_message_deflate=False,  # shards hardly compress
        lifespan="on",
        log_config=None,
        access_log=False,  # it would log activation tokens; see access.py
        proxy_headers=False,
        server_header=False,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=CANCEL_SECONDS,
        ssl_certfile=settings.tls_certificate,
        ssl_keyfile=settings.tls_key,
    )
    return _Server(config, listener, connections, app.state.bridge, greet)
