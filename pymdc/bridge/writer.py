"""The thread that accepts signed requests: it takes all that wait, and commits them together."""

from __future__ import annotations

import asyncio
import logging
import queue
import threading
from collections.abc import Sequence

from .errors import Refused, Unavailable
from .store import Acceptance, Accepted, Claim

__all__ = ["Writer"]

_log = logging.getLogger("pymdc.bridge")
_BATCH = 128  # how many requests share a commit: more would only wait longer for each other

_Waiting = tuple[Claim, "asyncio.Future[Accepted]"]


class Writer:
    """Accepts signed requests for one event loop. Its thread begins with the first request."""

    def __init__(self, acceptance: Acceptance) -> None:
        self._acceptance = acceptance
        self._queue: queue.SimpleQueue[_Waiting | None] = queue.SimpleQueue()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._closed = False

    @property
    def waiting(self) -> int:
        """How many requests wait for their commit."""
        return self._queue.qsize()

    async def accept(self, claim: Claim) -> Accepted:
        """Accept a request. It is on the disk when this returns.

        Raises:
            Refused: it is not accepted.
            Unavailable: the database is away, or the bridge is stopping.
        """
        if self._closed:
            raise Unavailable("The bridge is stopping, try again later")
        if self._thread is None:
            self._loop = asyncio.get_running_loop()
            self._thread = threading.Thread(target=self._run, name="pymdc-bridge-writer", daemon=True)
            self._thread.start()
        future: asyncio.Future[Accepted] = asyncio.get_running_loop().create_future()
        self._queue.put((claim, future))
        return await future

    def close(self) -> None:
        """Accept what waits, and end the thread."""
        self._closed = True
        if self._thread is not None:
            self._queue.put(None)
            self._thread.join()
            self._thread = None

    def _run(self) -> None:
        going = True
        while going:
            batch, going = self._next()
            # Nobody waits any more for what was cancelled.
            batch = [(claim, future) for claim, future in batch if not future.cancelled()]
            if batch:
                self._settle(batch, self._acceptance.accept([claim for claim, _ in batch]))
        self._acceptance.close()

    def _next(self) -> tuple[list[_Waiting], bool]:
        batch: list[_Waiting] = []
        item = self._queue.get()
        while item is not None:
            batch.append(item)
            if len(batch) == _BATCH or self._queue.empty():  # this thread alone takes from it
                return batch, True
            item = self._queue.get()
        return batch, False

    def _settle(self, batch: Sequence[_Waiting], outcomes: Sequence[Accepted | Refused]) -> None:
        assert self._loop is not None
        self._loop.call_soon_threadsafe(_deliver, batch, outcomes)
        try:
            self._acceptance.tidy()
        except Unavailable as error:
            _log.warning("old nonces are not forgotten now: %s", error)


def _deliver(batch: Sequence[_Waiting], outcomes: Sequence[Accepted | Refused]) -> None:
    for (_, future), outcome in zip(batch, outcomes, strict=True):
        if future.cancelled():
            continue
        if isinstance(outcome, Refused):
            future.set_exception(outcome)
        else:
            future.set_result(outcome)
