"""Queues: only so many of each group run at once; the others wait, first come, first served."""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict, deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import anyio

from .settings import TURN_SECONDS

__all__ = ["Queues"]


class Queues:
    """One queue for each group. A long queue of one group does not delay another group."""

    def __init__(self) -> None:
        self._under_way: Counter[str] = Counter()
        self._waiting: defaultdict[str, deque[asyncio.Event]] = defaultdict(deque)

    @property
    def under_way(self) -> int:
        """How many are running."""
        return self._under_way.total()

    @property
    def waiting(self) -> int:
        """How many are waiting."""
        return sum(len(line) for line in self._waiting.values())

    @asynccontextmanager
    async def turn(self, group: str, places: int, look: Callable[[], None]) -> AsyncIterator[None]:
        """Wait until fewer than `places` of a group are running; then this one counts as running.

        Arguments:
            group: the name of the group.
            places: how many of it may run at once.
            look: called every `TURN_SECONDS` during the wait. If it raises an error, the wait ends.
        """
        if self._under_way[group] < places:
            self._under_way[group] += 1
        else:
            await self._wait(group, look)
        try:
            yield
        finally:
            self._pass_on(group)

    async def _wait(self, group: str, look: Callable[[], None]) -> None:
        mine = asyncio.Event()
        self._waiting[group].append(mine)
        try:
            while not mine.is_set():
                look()
                with anyio.move_on_after(TURN_SECONDS):
                    await mine.wait()
        except BaseException:
            if mine.is_set():  # the turn came at the last moment
                self._pass_on(group)
            else:
                self._leave(group, mine)
            raise

    def _leave(self, group: str, event: asyncio.Event) -> None:
        self._waiting[group].remove(event)
        if not self._waiting[group]:
            del self._waiting[group]

    def _pass_on(self, group: str) -> None:
        if group in self._waiting:
            first = self._waiting[group][0]
            self._leave(group, first)
            first.set()
            return
        self._under_way[group] -= 1
        if not self._under_way[group]:
            del self._under_way[group]
