"""Run several transfers at the same time: start them, try them again after errors, and stop them at Ctrl+C."""

from __future__ import annotations

import heapq
import queue
import signal
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPException
from typing import Any
from urllib.error import HTTPError, URLError

from ..core.handle import Handle
from ..errors import ChannelError, MetadiskError
from .results import Result, Summary, View
from .transfers import Steps, Transfer

__all__ = ["JOBS", "RETRIES", "run"]

JOBS = 4
"""How many transfers run at once: enough to hide the latency of a distant bridge with small files."""

RETRIES = 3
"""How often a transfer is tried again after an error that may pass."""

_PAUSE_SECONDS = 0.5  # before the second attempt; it doubles each time
_LONGEST_PAUSE_SECONDS = 30.0
_SHARDS_MEMORY = 48 * 1024 * 1024  # for all downloads together; each holds up to four shards of 8 MiB
_ONE_DOWNLOAD_MEMORY = 32 * 1024 * 1024
_LONGEST_WAIT_SECONDS = 1.0  # Windows notices Ctrl+C only between two waits
_END_SECONDS = 10.0  # an interrupted call ends within a second


def run(
    transfers: Sequence[Transfer],
    view: View,
    *,
    jobs: int = JOBS,
    retries: int = RETRIES,
    finished: Callable[[Result], object] | None = None,
) -> Summary:
    """Run transfers, several at once, and return a summary. One that fails does not stop the others.

    Ctrl+C cancels the transfers under way, and the summary says `interrupted`. What a download has fetched is kept for
    the next time. A second Ctrl+C raises a `KeyboardInterrupt`.

    Arguments:
        transfers: they start in this order.
        view: shows their progress.
        jobs: how many run at once, at most as many as the client has threads.
        retries: how often each is tried again after an error that may pass.
        finished: called with each result, in this thread.
    """
    engine = _Engine(transfers, view, jobs, retries, finished)
    began = time.monotonic()
    try:
        with _stopped_by_a_person(engine.stop):
            engine.run()
    finally:
        engine.end_all()
        engine.summary.seconds = time.monotonic() - began
    return engine.summary


@contextmanager
def _stopped_by_a_person(stop: Callable[[], None]) -> Iterator[None]:
    """Call `stop` at the first Ctrl+C. Only the main thread hears of it."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.getsignal(signal.SIGINT)

    def interrupted(_signal: int, _frame: object) -> None:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        stop()

    signal.signal(signal.SIGINT, interrupted)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


@dataclass(eq=False)
class _Running:
    """A transfer under way.

    Attributes:
        attempt: 0, then 1 and so on.
        handle: the call under way.
    """

    transfer: Transfer
    attempt: int
    steps: Steps
    handle: Handle | None = None


class _Engine:
    """Runs transfers. All its state belongs to one thread; the calls' threads put values into a queue.

    Attributes:
        summary: what came of the transfers so far.
    """

    def __init__(
        self,
        transfers: Sequence[Transfer],
        view: View,
        jobs: int,
        retries: int,
        finished: Callable[[Result], object] | None,
    ) -> None:
        self.summary = Summary(len(transfers))
        self._waiting = deque((transfer, 0) for transfer in transfers)
        self._later: list[tuple[float, int, Transfer, int]] = []  # a heap of (when, number, transfer, attempt)
        self._running: set[_Running] = set()
        self._values: queue.SimpleQueue[tuple[_Running, Any] | None] = queue.SimpleQueue()
        self._view, self._jobs, self._retries, self._finished = view, jobs, retries, finished
        self._numbers = iter(range(2**62))

    def run(self) -> None:
        """Run until all are done, or until `stop`."""
        while not self.summary.interrupted:
            self._start_more()
            if not (self._running or self._waiting or self._later):
                break
            self._take(self._pause(), self._go_on)
        if self.summary.interrupted:
            self._end_what_runs()

    def stop(self) -> None:
        """Make `run` end soon. A signal handler may call this: `SimpleQueue.put` is reentrant."""
        self.summary.interrupted = True
        self._values.put(None)

    def end_all(self) -> None:
        """Cancel the transfers that still run, and remove their temporary files."""
        for running in self._running:
            _cancel(running)
            running.steps.close()

    def _start_more(self) -> None:
        now = time.monotonic()
        while self._later and self._later[0][0] <= now:
            _, _, transfer, attempt = heapq.heappop(self._later)
            self._waiting.appendleft((transfer, attempt))
        while self._waiting and len(self._running) < self._jobs and self._has_memory_for(self._waiting[0][0]):
            self._start(*self._waiting.popleft())

    def _has_memory_for(self, transfer: Transfer) -> bool:
        held = sum(_memory(running.transfer) for running in self._running)
        return not held or held + _memory(transfer) <= _SHARDS_MEMORY

    def _start(self, transfer: Transfer, attempt: int) -> None:
        self._view.begin(transfer)
        running = _Running(transfer, attempt, transfer.steps(lambda done: self._view.moved(transfer, done)))
        self._running.add(running)
        self._go_on(running, None)

    def _pause(self) -> float:
        """Return how long to wait for a value: at most until the next transfer is tried again."""
        waits = [self._later[0][0] - time.monotonic()] if self._later else []
        return max(0.0, min([_LONGEST_WAIT_SECONDS, *waits]))

    def _take(self, timeout: float, go_on: Callable[[_Running, Any], None]) -> None:
        """Wait for the value of a call, and pass it to `go_on`, with its transfer."""
        try:
            item = self._values.get(timeout=timeout)
        except queue.Empty:
            return
        if item is not None:
            go_on(*item)

    def _go_on(self, running: _Running, value: Any) -> None:
        """Make the next call of a transfer, or end it."""
        try:
            start = running.steps.send(value)
            running.handle = start(lambda value: self._values.put((running, value)))
        except StopIteration as end:
            self._ended(running, end.value)
        except Exception as error:  # noqa: BLE001 - no error of one transfer may stop the others
            self._failed(running, error)

    def _failed(self, running: _Running, error: Exception) -> None:
        running.steps.close()
        if running.attempt >= self._retries or not _may_pass(error) or self.summary.interrupted:
            self._ended(running, error)
            return
        self._running.discard(running)
        seconds = min(_PAUSE_SECONDS * 2**running.attempt, _LONGEST_PAUSE_SECONDS)
        self._view.again(Result(running.transfer, error), seconds)
        again = (time.monotonic() + seconds, next(self._numbers), running.transfer, running.attempt + 1)
        heapq.heappush(self._later, again)

    def _ended(self, running: _Running, value: Any) -> None:
        self._running.discard(running)
        result = Result(running.transfer, value.value if isinstance(value, MetadiskError) else value)
        if isinstance(value, BaseException):
            self.summary.failed.append(result)
        else:
            self.summary.done += 1
            self.summary.moved += running.transfer.size
        self._view.end(result)
        if self._finished is not None:
            self._finished(result)

    def _end_what_runs(self) -> None:
        """Cancel the calls under way, and wait for them. A transfer that ends anyway counts as done or failed."""
        for running in self._running:
            _cancel(running)
        end = time.monotonic() + _END_SECONDS
        while self._running and time.monotonic() < end:
            self._take(_END_SECONDS / 10, self._take_last)

    def _take_last(self, running: _Running, value: Any) -> None:
        try:
            running.steps.send(value)
        except StopIteration as end:
            self._ended(running, end.value)
        except Exception:  # noqa: BLE001 - it was cancelled
            self._running.discard(running)
        else:
            running.steps.close()
            self._running.discard(running)


def _cancel(running: _Running) -> None:
    if running.handle is not None:
        running.handle.cancel()


def _memory(transfer: Transfer) -> int:
    return min(transfer.memory, _ONE_DOWNLOAD_MEMORY)


def _may_pass(error: Exception) -> bool:
    """Tell whether another attempt may help: after errors of the network and of farmers, not of files, nor refusals."""
    if isinstance(error, HTTPError):
        return error.code >= 500 or error.code == 429
    if isinstance(error, MetadiskError):
        return "timed out" in str(error)  # a farmer that a bridge of 2016 asked was silent
    return isinstance(error, URLError | ConnectionError | TimeoutError | HTTPException | ChannelError)
