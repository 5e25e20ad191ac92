"""The thread that accepts signed requests: it takes all that are waiting, and commits them together.

Each signed request writes its nonce to the disk before it is served. With one thread, up to 128 requests share one
commit, which takes as long as the commit of a single request. SQLite lets only one connection write at a time anyway.
"""

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
_BATCH = 128  # how many requests share a commit at most: with more, the first ones would wait too long

_Waiting = tuple[Claim, "asyncio.Future[Accepted]"]


class Writer:
    """Accepts signed requests for one event loop. Its thread starts with the first request."""

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
        """Accept a request. When this returns, its nonce is on the disk.

        Raises:
            Refused: the user, the key or the nonce is refused.
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
        """Accept the requests that wait, and end the thread."""
        self._closed = True
        if self._thread is not None:
            self._queue.put(None)
            self._thread.join()
            self._thread = None

    def _run(self) -> None:
        going = True
        while going:
            batch, going = self._next()
            # Nobody waits for requests that were cancelled.
            batch = [(claim, future) for claim, future in batch if not future.cancelled()]
            if batch:
                self._settle(batch, self._acceptance.accept([claim for claim, _ in batch]))
        self._acceptance.close()

    def _next(self) -> tuple[list[_Waiting], bool]:
        batch: list[_Waiting] = []
        item = self._queue.get()
        while item is not None:
            batch.append(item)
            if len(batch) == _BATCH or self._queue.empty():  # only this thread takes from the queue
                return batch, True
            item = self._queue.get()
        return batch, False

    def _settle(self, batch: Sequence[_Waiting], outcomes: Sequence[Accepted | Refused]) -> None:
        assert self._loop is not None
        self._loop.call_soon_threadsafe(_deliver, batch, outcomes)
        try:
            self._acceptance.tidy()
        except Unavailable as error:
            _log.warning("old nonces could not be deleted: %s", error)


def _deliver(batch: Sequence[_Waiting], outcomes: Sequence[Accepted | Refused]) -> None:
    for (_, future), outcome in zip(batch, outcomes, strict=True):
        if future.cancelled():
            continue
        if isinstance(outcome, Refused):
            future.set_exception(outcome)
        else:
            future.set_result(outcome)
