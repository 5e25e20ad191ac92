"""The client: what belongs to one bridge, its connections, its threads, its limits; and the default client."""

from __future__ import annotations

import os
import ssl
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Any
from urllib.error import URLError
from urllib.parse import SplitResult

from . import config
from .core import wire
from .core.dispatch import Callback, Dispatcher, Scheduler
from .core.exchange import Exchange
from .core.job import Job
from .core.transport import Transport
from .errors import caused_by
from .version import __version__

__all__ = ["Client", "configure", "default_client"]


class Client:
    """A bridge, the connections to it, and the threads for callback calls. Threads may share it.

    Arguments:
        endpoint: the bridge's URL. Else the environment variable `STORJ_BRIDGE` names it, else it is the documented
            `https://api.metadisk.org`, which was retired. A URL that is none makes each call's value a `URLError`.
        timeout: limits on silence, in seconds: one number for all, a `Timeout`, or `None` for no limits.
        workers: how many callback calls are under way at once.
        scheduler: a callable that takes a function of no arguments and runs it later, in the thread in which
            callbacks belong. Without one, a callback runs in the thread that made the call.
        verify: `True` to trust the usual authorities (those that certifi lists, or those that `SSL_CERT_FILE` or
            `SSL_CERT_DIR` names), or an `ssl.SSLContext`.

    Raises:
        TypeError, ValueError: an argument is not as described.

    A client is a context manager; `close()` gives its connections back. The default client needs neither.
    """

    def __init__(
        self,
        endpoint: str | None = None,
        *,
        timeout: float | config.Timeout | None = config.Timeout(),  # noqa: B008 - frozen
        workers: int = config.WORKERS,
        scheduler: Scheduler | None = None,
        verify: ssl.SSLContext | bool = True,
    ) -> None:
        if endpoint is not None and not isinstance(endpoint, str):
            raise TypeError(f"the endpoint is a URL, a str, not {type(endpoint).__name__}")
        if not isinstance(workers, int) or workers < 1:
            raise ValueError(f"workers is a number of threads, 1 or more, not {workers!r}")
        _check_scheduler(scheduler)
        if not isinstance(verify, bool | ssl.SSLContext):
            raise TypeError(f"verify is True, False or an ssl.SSLContext, not {type(verify).__name__}")
        self._timeout = config.Timeout.of(timeout)
        self._verify = verify
        self._scheduler = scheduler
        self._dispatcher = Dispatcher(workers)
        self._lock = threading.Lock()  # guards the three below
        self._endpoint = endpoint
        self._transport: Transport | None = None
        self._exchange: Exchange | None = None

    @property
    def endpoint(self) -> str:
        """The bridge's URL, chosen when it is first needed: settings alone ask for no bridge, and warn of none."""
        with self._lock:
            if self._endpoint is None:
                self._endpoint = config.choose_endpoint(None)
            return self._endpoint

    def call(self, call: wire.Call, callback: Callback | None) -> Any:
        """Make a call: return its value, or a `Handle` where a callback is given."""
        return self.run(lambda exchange, job: exchange.perform(call, job), callback)

    def run(self, work: Callable[[Exchange, Job], Any], callback: Callback | None) -> Any:
        """Run `work`, which may make several exchanges: return its value, or a `Handle` where a callback is given."""
        return self._dispatcher.run(lambda job: self._with_exchange(work, job), callback, self._scheduler)

    def with_scheduler(self, scheduler: Scheduler | None) -> Client:
        """Return this client with another scheduler, for one window of several, or for a single call.

        It shares the connections and the threads. To close either of them closes both.

        Raises:
            TypeError: the scheduler cannot be called.
        """
        return _Rescheduled(self, scheduler)

    def close(self) -> None:
        """Close the connections. What is still under way fails; a later call opens new ones."""
        with self._lock:
            transport, self._transport, self._exchange = self._transport, None, None
        if transport is not None:
            transport.close()

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        try:
            return f"<Client {config.parse_endpoint(self.endpoint).geturl()}>"
        except ValueError:
            return "<Client with a malformed endpoint>"

    def _with_exchange(self, work: Callable[[Exchange, Job], Any], job: Job) -> Any:
        try:
            exchange = self._exchange_with(config.parse_endpoint(self.endpoint))
        except (ValueError, ImportError) as error:  # the endpoint is no URL, or its proxy is none that can be used
            return caused_by(URLError(str(error)), error)
        return work(exchange, job)

    def _exchange_with(self, endpoint: SplitResult) -> Exchange:
        with self._lock:
            if self._exchange is None:
                self._transport = Transport(endpoint, self._timeout, self._verify, f"pymdc/{__version__}")
                self._exchange = Exchange(endpoint, self._transport, self._timeout, self._verify)
            return self._exchange


class _Rescheduled(Client):
    """A client whose scheduler is another one, and all else the client's that it was made from."""

    def __init__(self, client: Client, scheduler: Scheduler | None) -> None:
        _check_scheduler(scheduler)
        self._client = client
        self._scheduler = scheduler
        self._dispatcher = client._dispatcher

    @property
    def endpoint(self) -> str:
        return self._client.endpoint

    def close(self) -> None:
        self._client.close()

    def _with_exchange(self, work: Callable[[Exchange, Job], Any], job: Job) -> Any:
        return self._client._with_exchange(work, job)


def _check_scheduler(scheduler: object) -> None:
    if scheduler is not None and not callable(scheduler):
        raise TypeError(f"the scheduler must be callable, not {type(scheduler).__name__}")


_default_lock = threading.Lock()
_default: Client | None = None
_settings: dict[str, Any] = {}


def default_client() -> Client:
    """Return the client that serves whatever was given no `client=`; it is made at first use."""
    global _default
    with _default_lock:
        if _default is None:
            _default = Client(**_settings)
        return _default


def configure(**settings: Any) -> None:
    """Set the default client's settings: the arguments of `Client`. What is not named stays as it was set before.

    Calls that are under way end as they began.

    Raises:
        TypeError, ValueError: as `Client` does; then nothing has changed.
    """
    global _default
    with _default_lock:
        _default = Client(**{**_settings, **settings})
        _settings.update(settings)


def _forget_in_child() -> None:
    # After a fork the child has neither the threads nor its own connections: it makes a client of its own.
    global _default, _default_lock
    _default_lock = threading.Lock()
    _default = None
    wire.forked()


if hasattr(os, "register_at_fork"):  # pragma: no branch - Windows knows no fork
    os.register_at_fork(after_in_child=_forget_in_child)
