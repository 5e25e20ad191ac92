"""Checks of passwords: no client can block the others, and guessing is slow.

A password that was verified recently passes at once. Any other costs 50 ms of a processor, so only one from each
address is checked at a time, so a thousand guesses from one address delay another address by one check only. The reply
to a wrong password is delayed, longer for each further guess. Meanwhile, further logins from that address to that
account wait.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TypeVar

import anyio
from anyio import to_thread

from .addresses import neighbourhood
from .passwords import Passwords
from .settings import (
    GUESS_SECONDS,
    GUESSES_AT_ONCE,
    GUESSES_OF_ACCOUNT_AT_ONCE,
    GUESSES_REMEMBERED,
    GUESSES_REMEMBERED_SECONDS,
    PASSWORD_THREADS,
)

__all__ = ["Logins"]

_T = TypeVar("_T")
_FIRST_DELAY = 0.25  # seconds; it doubles with each further guess


@dataclass
class _Turn:
    lock: anyio.Lock = field(default_factory=anyio.Lock)
    users: int = 0


class Logins:
    """Hashes and verifies passwords, a few at a time, with one place for each address. Used in the loop's thread."""

    def __init__(self) -> None:
        self._passwords = Passwords()
        self._threads = anyio.CapacityLimiter(PASSWORD_THREADS)
        self._turns: dict[tuple[str, ...], _Turn] = {}
        self._guesses: OrderedDict[tuple[str, ...], tuple[int, float]] = OrderedDict()

    async def hash(self, address: str, password: str) -> str:
        """Hash a new password that came from an address."""
        return await self._compute(neighbourhood(address), lambda: self._passwords.hash(password))

    async def verify(self, address: str, email: str, password: str, hashed: str | None) -> bool:
        """Tell whether a password that came from an address is the password of an account.

        Arguments:
            hashed: the account's hashed password; `None` if there is no such account.
        """
        expected = self._passwords.dummy_hash if hashed is None else hashed
        if self._passwords.verified_recently(password, expected):
            return True
        group = neighbourhood(address)
        async with self._turn(group, email):
            good = await self._compute(group, lambda: self._passwords.verify(password, expected))
            if good:
                self._guesses.pop((group, email), None)
            else:
                await anyio.sleep(self._delay(group, email))
        return good

    async def _compute(self, group: str, call: Callable[[], _T]) -> _T:
        async with self._turn(group):
            return await to_thread.run_sync(call, limiter=self._threads)

    @asynccontextmanager
    async def _turn(self, *key: str) -> AsyncIterator[None]:
        turn = self._turns.setdefault(key, _Turn())
        turn.users += 1
        try:
            async with turn.lock:
                yield
        finally:
            turn.users -= 1
            if not turn.users:
                del self._turns[key]

    def _delay(self, group: str, email: str) -> float:
        from_here = self._count(group, email) - GUESSES_AT_ONCE
        of_account = self._count(email) - GUESSES_OF_ACCOUNT_AT_ONCE
        excess = max(from_here, of_account)
        return 0.0 if excess <= 0 else min(_FIRST_DELAY * 2.0 ** min(excess - 1, 10), GUESS_SECONDS)

    def _count(self, *key: str) -> int:
        count, last = self._guesses.pop(key, (0, 0.0))
        now = time.monotonic()
        count = 1 if now - last > GUESSES_REMEMBERED_SECONDS else count + 1
        self._guesses[key] = count, now
        if len(self._guesses) > GUESSES_REMEMBERED:
            self._guesses.popitem(last=False)
        return count
