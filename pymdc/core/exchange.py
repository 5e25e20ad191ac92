"""Make one call, with as many attempts as are safe: sign, send, follow a redirect, decode."""

from __future__ import annotations

import random
import ssl
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from http.client import IncompleteRead
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.error import URLError
from urllib.parse import SplitResult

from .. import config
from . import calls, wire
from .job import Job
from .nonces import next_nonce

if TYPE_CHECKING:
    from .transport import Transport  # httpx is slow to load, and not needed before the first call

__all__ = ["Exchange", "back_off"]

_T = TypeVar("_T")


class Exchange:
    """Makes the calls of one client to its bridge. All threads share it.

    Arguments:
        endpoint: the bridge's URL, split.
        transport: the connections to it.
        timeout, verify: as for `Client`; for the data channels.

    Attributes:
        host: the bridge's host, with its port if the endpoint has one.
    """

    def __init__(
        self, endpoint: SplitResult, transport: Transport, timeout: config.Timeout, verify: ssl.SSLContext | bool
    ) -> None:
        self._timeout = timeout
        self._verify = verify
        self.host = endpoint.netloc
        self._endpoint = endpoint
        self._transport = transport
        self._order = _SignedOrder()
        self._shared: dict[Callable[..., Any], Any] = {}
        self._shared_lock = threading.Lock()

    def shared(self, make: Callable[[config.Timeout, ssl.SSLContext | bool], _T]) -> _T:
        """Return what `make` gives for this client's limits and certificates. It is made once, at the first call."""
        with self._shared_lock:
            if make not in self._shared:
                self._shared[make] = make(self._timeout, self._verify)
            return self._shared[make]  # type: ignore[no-any-return]

    def perform(self, call: calls.Call, job: Job) -> Any:
        """Send `call` and return its value: the decoded reply, or an exception value.

        Up to `MAX_ATTEMPTS` attempts: for a request that never reached the bridge, and for a GET whose reply was lost.
        Up to `MAX_NONCE_ATTEMPTS` refusals: for a request whose nonce arrived too late. Each next one has a new nonce.
        Up to `MAX_REDIRECTS` redirects: for a GET, and within the endpoint's origin.
        """
        nonces = redirects = 1
        while True:
            reply = _attempt(call, job, lambda call=call: self._send(call, job))  # type: ignore[misc]
            if isinstance(reply, Exception):
                return reply
            there = wire.redirected(call, self._endpoint, reply)
            if there is not None and redirects <= config.MAX_REDIRECTS:
                redirects += 1
                call = there
                continue
            value = wire.decode(reply)
            if not wire.came_too_late(call, value) or nonces == config.MAX_NONCE_ATTEMPTS:
                return value
            self._order.keep()
            back_off(nonces, job)
            nonces += 1

    def upload(
        self, call: calls.Call, body: Iterable[bytes], content_type: str, *, length: int, size: int, job: Job
    ) -> Any:
        """Send a body that is streamed, and return the value of the reply.

        Arguments:
            body: yields the bytes; iterated over once for each attempt.
            length, size: how many bytes the body has, and how many of them are the file's.
        """
        request = wire.prepare_upload(call, self._endpoint.path, content_type, length=length, size=size)
        reply = _attempt(call, job, lambda: self._transport.send(request, job, body))
        return reply if isinstance(reply, Exception) else wire.decode(reply)

    def send_once(self, call: calls.Call, nonce: int, job: Job) -> wire.Reply | Exception:
        """Send a call once with this nonce, and return the whole reply: for a diagnosis, which must change nothing."""
        return self._transport.send(wire.prepare(call, self._endpoint.path, nonce), job)

    def _send(self, call: calls.Call, job: Job) -> wire.Reply | Exception:
        with self._order.turn(call, job):
            return self._transport.send(wire.prepare(call, self._endpoint.path, next_nonce()), job)


class _SignedOrder:
    """Sends signed requests at once; after the bridge has refused one for its nonce, one at a time.

    A bridge of 2016 keeps one nonce per user and refuses a lower one, so a request fails if one that was signed
    later arrives before it. After the first such refusal this client sends signed requests one at a time, and signs
    each when its turn comes. Uploads and downloads have tokens and are not signed, so they do not wait.
    """

    def __init__(self) -> None:
        self._turn = threading.Lock()
        self._until = 0.0  # when requests may be sent at once again: the other program may have ended

    def keep(self) -> None:
        """Send signed requests one at a time from here on, for `ORDER_SECONDS`."""
        self._until = time.monotonic() + config.ORDER_SECONDS

    @contextmanager
    def turn(self, call: calls.Call, job: Job) -> Iterator[None]:
        """Wait for the call's turn, and hold it.

        Raises:
            CancelledError, TimeoutError: the job was cancelled meanwhile, or its time is up.
        """
        turn = self._taken(job) if call.signed and time.monotonic() < self._until else None
        try:
            yield
        finally:
            if turn is not None:
                turn.release()

    def _taken(self, job: Job) -> threading.Lock:
        while True:
            turn, end = self._turn, time.monotonic() + config.TURN_SECONDS
            while turn is self._turn:
                if turn.acquire(timeout=config.POLL_SECONDS):
                    return turn
                job.check()
                if time.monotonic() >= end:  # the call that has the turn has stalled: the others go on without it
                    self._turn = threading.Lock()


def _attempt(call: calls.Call, job: Job, send: Callable[[], wire.Reply | Exception]) -> wire.Reply | Exception:
    for attempt in range(1, config.MAX_ATTEMPTS):
        reply = send()
        if not isinstance(reply, Exception) or not _may_repeat(call, reply):
            return reply
        back_off(attempt, job)
    return send()


def _may_repeat(call: calls.Call, error: Exception) -> bool:
    if isinstance(error, URLError):  # no connection; another attempt may succeed, unless the certificate is the reason
        return isinstance(error.reason, OSError) and not isinstance(error.reason, ssl.SSLError)
    return call.repeatable and isinstance(error, ConnectionError | IncompleteRead)


def back_off(attempt: int, job: Job) -> None:
    """Wait before the next attempt: longer each time, and by a random share, so that clients do not retry in step.

    Raises:
        CancelledError, TimeoutError: the job was cancelled meanwhile, or its time is up.
    """
    rest = config.BACKOFF_SECONDS * 2 ** min(attempt - 1, 3) * random.uniform(0.5, 1)  # noqa: S311 - no secret
    while rest > 0:
        time.sleep(min(rest, config.POLL_SECONDS))
        rest -= config.POLL_SECONDS
        job.check()
