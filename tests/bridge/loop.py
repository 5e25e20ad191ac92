"""How long an event loop is held up, and how long others wait meanwhile."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import httpx


@dataclass
class Stalls:
    """The longest time, in seconds, that one callback of any event loop took of its thread's processor."""

    longest: float = 0.0
    what: str = ""


@contextmanager
def watched_loops() -> Iterator[Stalls]:
    """Measure every callback of every event loop of this process.

    The processor's time of the thread is measured, not the clock's: what other processes take does not count.
    """
    stalls, plain = Stalls(), asyncio.Handle._run

    def measured(handle: asyncio.Handle) -> None:
        began = time.thread_time()
        plain(handle)
        took = time.thread_time() - began
        if took > stalls.longest:
            stalls.longest, stalls.what = took, repr(handle)

    asyncio.Handle._run = measured  # type: ignore[method-assign, assignment]
    try:
        yield stalls
    finally:
        asyncio.Handle._run = plain  # type: ignore[method-assign]


@dataclass
class Visits:
    """The requests of somebody else: how many seconds each took."""

    seconds: list[float] = field(default_factory=list)


@contextmanager
def visited(url: str) -> Iterator[Visits]:
    """Somebody else asks for a page again and again, and gets it each time."""
    visits, over = Visits(), threading.Event()

    def visit() -> None:
        with httpx.Client(base_url=url, timeout=30, trust_env=False) as http:
            while not visits.seconds or not over.is_set():
                began = time.monotonic()
                assert http.get("/nosuch").status_code == 404
                visits.seconds.append(time.monotonic() - began)
                over.wait(0.01)

    visitor = threading.Thread(target=visit)
    visitor.start()
    try:
        yield visits
    finally:
        over.set()
        visitor.join()
