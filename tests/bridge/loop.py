"""Measure how long an event loop is held up, and how long other requests wait."""

from __future__ import annotations

import asyncio
import gc
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import httpx

from pymdc.bridge.server import BridgeThread


@dataclass
class Stalls:
    """The longest time, in seconds, that an event loop worked before it looked at the clock again."""

    longest: float = 0.0


@contextmanager
def watched_loop(thread: BridgeThread) -> Iterator[Stalls]:
    """Measure how long the event loop of a bridge is held up.

    The processor's time of the loop's thread is measured, not the clock's: what other processes take does not count.
    Garbage collection is not counted either.
    """
    stalls, over = Stalls(), threading.Event()

    async def beat() -> None:
        while not over.is_set():
            began = time.thread_time()
            await asyncio.sleep(0.002)
            stalls.longest = max(stalls.longest, time.thread_time() - began)

    assert thread._server is not None
    assert thread._server.loop is not None
    gc.collect()
    gc.freeze()
    beating = asyncio.run_coroutine_threadsafe(beat(), thread._server.loop)
    try:
        yield stalls
    finally:
        over.set()
        beating.result(60)
        gc.unfreeze()


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
