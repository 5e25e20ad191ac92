"""The client without the API: settings, calls, and the default client."""

from __future__ import annotations

import os
import ssl
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Any, TypeVar

from .. import config
from . import calls
from .client_core import ClientCore
from .delivery import Callback, Scheduler, check_callable
from .endpoints import parse_endpoint
from .exchange import Exchange
from .job import Job

__all__ = ["BaseClient", "check_client", "client_for", "configure", "default_client"]

_Self = TypeVar("_Self", bound="BaseClient")


class BaseClient:
    """A bridge, the connections to it, and the threads for callback calls. Threads may share it.

    Arguments:
        endpoint: the bridge's URL. Default: the environment variable `STORJ_BRIDGE`, or else the endpoint of 2016,
            `https://api.metadisk.org`, which was retired. If the URL is not valid, each call gives a `URLError`.
        timeout: limits on silence, in seconds: one number for all, a `Timeout`, or `None` for no limits.
        workers: how many calls with callbacks run at once.
        scheduler: a callable that takes a function of no arguments and runs it later, in the thread in which
            callbacks belong. Without one, a callback runs in the thread of the pool that made the call.
        verify: `True` to trust the usual authorities (those that certifi lists, or those that `SSL_CERT_FILE` or
            `SSL_CERT_DIR` names), `False` to trust any certificate, or an `ssl.SSLContext`.

    Raises:
        TypeError, ValueError: an argument is not as described.

    A client is a context manager. `close()` closes its connections. You need not close the default client.
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
        if not isinstance(workers, int) or isinstance(workers, bool) or workers < 1:
            raise ValueError(f"workers is a number of threads, 1 or more, not {workers!r}")
        _check_scheduler(scheduler)
        if not isinstance(verify, bool | ssl.SSLContext):
            raise TypeError(f"verify is True, False or an ssl.SSLContext, not {type(verify).__name__}")
        self._core = ClientCore(endpoint, config.Timeout.of(timeout), workers, verify)
        self._scheduler = scheduler

    @property
    def endpoint(self) -> str:
        """The bridge's URL. Until the first call, the environment variable is read again each time."""
        return self._core.endpoint

    def call(self, call: calls.Call, callback: Callback | None) -> Any:
        """Make a call: return its value, or a `Handle` if there is a callback."""
        return self.run(lambda exchange, job: exchange.perform(call, job), callback)

    def run(self, work: Callable[[Exchange, Job], Any], callback: Callback | None) -> Any:
        """Run `work`, which may make several exchanges: return its value, or a `Handle` if there is a callback."""
        core = self._core
        return core.dispatcher.run(lambda job: core.with_exchange(work, job), callback, self._scheduler)

    def with_scheduler(self: _Self, scheduler: Scheduler | None) -> _Self:
        """Return this client with another scheduler, for one of several windows or for a single call.

        Both share their connections and threads. Closing one of them closes both.

        Raises:
            TypeError: the scheduler cannot be called.
        """
        _check_scheduler(scheduler)
        view = object.__new__(type(self))
        view.__dict__.update(self.__dict__)  # a subclass may have attributes of its own
        view._scheduler = scheduler
        return view

    def close(self, cancel: bool = False) -> None:
        """Wait for the running calls and their callbacks, then close the connections. A later call opens new ones.

        It does not wait for the calls of this thread, so that a callback may close its client. The end of a `with`
        block calls this.

        Arguments:
            cancel: end the calls first, within a second. Each one's value is then a `CancelledError`.
        """
        self._core.close(cancel=cancel)

    def __enter__(self: _Self) -> _Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __getstate__(self) -> dict[str, Any]:
        """Pickle and copy a client by its settings, so that the copy makes its own connections."""
        settings = self._core.settings
        if isinstance(settings["verify"], ssl.SSLContext):
            raise TypeError("a Client with an ssl.SSLContext cannot be pickled or copied: make another one there")
        return {**self.__dict__, "_core": settings}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update({**state, "_core": ClientCore(**state["_core"])})

    def __repr__(self) -> str:
        try:
            return f"<Client {parse_endpoint(self.endpoint).geturl()}>"
        except ValueError:
            return "<Client with a malformed endpoint>"


def _check_scheduler(scheduler: object) -> None:
    if scheduler is not None:
        check_callable(scheduler, "scheduler")


def check_client(client: object) -> None:
    """Raise a `TypeError`, in the caller's thread, if the argument `client=` is not a client."""
    if client is not None and not isinstance(client, BaseClient):
        raise TypeError(f"the client is a pymdc.Client, not {type(client).__name__}")


def client_for(client: BaseClient | None, credentials: object) -> BaseClient:
    """Return the client for a call: the given one, else the one of the account, else the default client.

    Arguments:
        client: the argument `client=`.
        credentials: the key pair or account. A `Users` has a client: its password's hash must not go to another bridge.
    """
    own = getattr(credentials, "client", None)
    return client or (own if isinstance(own, BaseClient) else None) or default_client()


_default_lock = threading.Lock()
_default: BaseClient | None = None
_settings: dict[str, Any] = {}


def default_client() -> BaseClient:
    """Return the client for calls and classes without `client=`; it is made at first use."""
    global _default
    with _default_lock:
        if _default is None:
            _default = BaseClient(**_settings)
        return _default


_NOT_GIVEN: Any = object()


def configure(
    *,
    endpoint: str | None = _NOT_GIVEN,
    timeout: float | config.Timeout | None = _NOT_GIVEN,
    workers: int = _NOT_GIVEN,
    scheduler: Scheduler | None = _NOT_GIVEN,
    verify: ssl.SSLContext | bool = _NOT_GIVEN,
) -> None:
    """Change settings of the default client: the arguments of `Client`. All other settings stay as they are.

    Running calls keep their settings.

    Raises:
        TypeError, ValueError: as `Client` does; then nothing has changed.
    """
    global _default
    named = {"endpoint": endpoint, "timeout": timeout, "workers": workers, "scheduler": scheduler, "verify": verify}
    settings = {name: value for name, value in named.items() if value is not _NOT_GIVEN}
    with _default_lock:
        _default = BaseClient(**{**_settings, **settings})
        _settings.update(settings)


def _forget_in_child() -> None:
    global _default_lock
    _default_lock = threading.Lock()  # another thread of the parent may have held it


if hasattr(os, "register_at_fork"):  # pragma: no branch - Windows has no fork
    os.register_at_fork(after_in_child=_forget_in_child)
