"""The part of a client that its views with other schedulers share: the bridge, the connections and the threads."""

from __future__ import annotations

import atexit
import os
import ssl
import threading
import weakref
from collections.abc import Callable
from typing import TYPE_CHECKING, Any
from urllib.error import URLError

from .. import config
from ..errors import at_host, caused_by
from ..version import __version__
from .dispatch import Dispatcher
from .endpoints import choose_endpoint, parse_endpoint, warn_if_retired
from .exchange import Exchange
from .job import Job

if TYPE_CHECKING:
    from .transport import Transport

__all__ = ["ClientCore"]


class ClientCore:
    """One bridge, the connections to it, and the threads for callback calls.

    Arguments:
        endpoint, timeout, workers, verify: as for `Client`, checked.

    Attributes:
        dispatcher: makes the calls.
        settings: the arguments.
    """

    def __init__(
        self, endpoint: str | None, timeout: config.Timeout, workers: int, verify: ssl.SSLContext | bool
    ) -> None:
        self.settings = {"endpoint": endpoint, "timeout": timeout, "workers": workers, "verify": verify}
        self._timeout = timeout
        self._verify = verify
        self.dispatcher = Dispatcher(workers)
        self._lock = threading.Lock()  # guards the three below
        self._endpoint = endpoint
        self._transport: Transport | None = None
        self._exchange: Exchange | None = None
        _cores.add(self)

    @property
    def endpoint(self) -> str:
        """The bridge's URL. Until the first call, the environment variable is read again each time."""
        with self._lock:
            return choose_endpoint(self._endpoint)

    def with_exchange(self, work: Callable[[Exchange, Job], Any], job: Job) -> Any:
        """Run `work` with the connections to the bridge, which are made at first use, and return its value."""
        try:
            exchange, transport = self._entered()
        except (ValueError, ImportError) as error:  # the endpoint is not a valid URL, or its proxy cannot be used
            return caused_by(URLError(str(error)), error)
        except OSError as error:  # no connection can be made
            return caused_by(URLError(error), error)
        job.end_after(self._timeout.total)
        try:
            value = work(exchange, job)
        except Exception as error:
            at_host(error, exchange.host)
            raise
        finally:
            self._left(transport)
        return at_host(value, exchange.host) if isinstance(value, Exception) else value

    def close(self, *, cancel: bool) -> None:
        """Wait for the running calls, or cancel them, then close the connections. A later call opens new ones."""
        self.dispatcher.finish(cancel=cancel)
        self.release()

    def release(self) -> None:
        """Close the connections, or let the last call that uses them do so. A later call opens new ones."""
        with self._lock:
            transport, self._transport, self._exchange = self._transport, None, None
            used = transport is not None and transport.calls > 0
        if transport is not None and not used:
            transport.close()

    def reset_after_fork(self) -> None:
        """Begin anew in the child of a fork: connections, threads and running calls belong to the parent."""
        self._lock = threading.Lock()  # another thread of the parent may have held it
        transport, self._transport, self._exchange = self._transport, None, None
        if transport is not None:
            transport.leave_to_parent()
        self.dispatcher.reset_after_fork()

    def _entered(self) -> tuple[Exchange, Transport]:
        with self._lock:
            exchange, transport = self._opened()
            transport.calls += 1
            return exchange, transport

    def _left(self, transport: Transport) -> None:
        with self._lock:
            transport.calls -= 1
            unused = transport.calls == 0 and transport is not self._transport
        if unused:
            transport.close()

    def _opened(self) -> tuple[Exchange, Transport]:  # with the lock held
        if self._exchange is None or self._transport is None:
            chosen = choose_endpoint(self._endpoint)
            endpoint = parse_endpoint(chosen)
            warn_if_retired(chosen)
            self._endpoint = chosen
            from .transport import Transport  # httpx is slow to load, and not needed before the first call

            self._transport = Transport(endpoint, self._timeout, self._verify, f"pymdc/{__version__}")
            self._exchange = Exchange(endpoint, self._transport, self._timeout, self._verify)
        return self._exchange, self._transport


_cores: weakref.WeakSet[ClientCore] = weakref.WeakSet()  # all of this process


@atexit.register
def _release_all() -> None:  # pragma: no cover - it runs when the process ends, as tests in processes of their own see
    # All threads have ended by now. Handlers of atexit that were registered before may still make calls.
    for core in list(_cores):
        core.release()


def _start_anew_in_child() -> None:
    for core in list(_cores):
        core.reset_after_fork()


if hasattr(os, "register_at_fork"):  # pragma: no branch - Windows has no fork
    os.register_at_fork(after_in_child=_start_anew_in_child)
