"""The bridge: its settings, database, store, limits and threads, which all routes share."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import ParamSpec, TypeVar

import anyio
from anyio import to_thread

from .blobs import Blobs
from .errors import Unavailable
from .identity import claim, require_shards
from .limits import Limits
from .logins import Logins
from .mail import Mail, Mailer, mailer
from .settings import DATABASE_THREADS, MAIL_THREADS, SENDS, SHARD_THREADS, SMALL_BYTES, Settings
from .store import Allowance, Store
from .writer import Writer

__all__ = ["Bridge", "Condition"]

_P = ParamSpec("_P")
_T = TypeVar("_T")


@dataclass
class Condition:
    """The health of a bridge that is serving.

    Attributes:
        cleaning: the error of the last clean-up; empty if it succeeded.
        cleaned: when a clean-up last succeeded, by the monotonic clock.
        clock_differs: whether the clocks of this machine and of the database differ.
        ready_until: the time, by the monotonic clock, until which the last good answer of the engines is valid.
    """

    cleaning: str = ""
    cleaned: float = field(default_factory=time.monotonic)
    clock_differs: bool = False
    ready_until: float = 0.0


@dataclass
class Bridge:
    """One bridge: its engines (database and store), and the threads that run blocking calls.

    Processes that serve the same database and store share nothing else: `logins` is only a cache.
    """

    settings: Settings
    store: Store
    writer: Writer
    blobs: Blobs
    mailer: Mailer
    limits: Limits
    logins: Logins = field(default_factory=Logins)
    condition: Condition = field(default_factory=Condition)
    _database: anyio.CapacityLimiter = field(default_factory=lambda: anyio.CapacityLimiter(DATABASE_THREADS))
    _shards: anyio.CapacityLimiter = field(default_factory=lambda: anyio.CapacityLimiter(SHARD_THREADS))
    _sends: anyio.CapacityLimiter = field(default_factory=lambda: anyio.CapacityLimiter(SENDS))
    _mails: anyio.CapacityLimiter = field(default_factory=lambda: anyio.CapacityLimiter(MAIL_THREADS))

    @classmethod
    def open(cls, settings: Settings) -> Bridge:
        """Open the database and the store, and make them if they are missing.

        Raises:
            Unavailable: the database or the store cannot be used. The message says which one, and why.
            ValueError: the store belongs to another database, or its disk is missing.
        """
        try:
            settings.data.mkdir(parents=True, exist_ok=True, mode=0o700)
        except OSError as error:
            why = f"the data folder {settings.data} cannot be used: {error.strerror} (--data names another)"
            raise Unavailable(why) from error
        with _explained("database"):
            store = Store(settings.database_url)
        try:
            with _explained("store"):
                blobs = Blobs(settings.store_location, settings.data)
                blobs.check()
                require_shards(store, blobs)
                claim(store, blobs)
        except BaseException:
            store.close()
            raise
        writer = Writer(store.acceptance())
        return cls(settings, store, writer, blobs, mailer(settings), Limits(settings))

    def reconfigure(self, settings: Settings) -> None:
        """Use other settings from now on. Those of engines and addresses take effect only at a start."""
        self.settings = settings
        self.limits.settings = settings

    def now(self) -> int:
        """Return the database's time, in milliseconds since 1970. All bridges on one database share this clock."""
        return self.store.now()

    @property
    def allowance(self) -> Allowance:
        """The limits of an account, unless the operator has set other limits for it."""
        return Allowance(self.settings.user_storage, self.settings.user_buckets)

    async def in_database(self, call: Callable[_P, _T], *args: _P.args, **kwargs: _P.kwargs) -> _T:
        """Run a call to the database in a thread, so that it does not block the event loop."""
        return await to_thread.run_sync(lambda: call(*args, **kwargs), limiter=self._database)

    async def in_store(self, call: Callable[_P, _T], *args: _P.args, **kwargs: _P.kwargs) -> _T:
        """Run a call to the store in a thread, so that it does not block the event loop."""
        return await to_thread.run_sync(lambda: call(*args, **kwargs), limiter=self._shards)

    async def keep(self, size: int, call: Callable[_P, _T], *args: _P.args, **kwargs: _P.kwargs) -> _T:
        """Run the call that completes a blob of `size` bytes. An object store needs all of a blob in memory for it."""
        if self.blobs.is_folder or size <= SMALL_BYTES:
            return await self.in_store(call, *args, **kwargs)
        async with self._sends:
            return await self.in_store(call, *args, **kwargs)

    async def post(self, mail: Mail) -> None:
        """Send a mail in a thread; see `Mailer.send`."""
        await to_thread.run_sync(self.mailer.send, mail, limiter=self._mails)


@contextmanager
def _explained(engine: str) -> Iterator[None]:
    try:
        yield
    except Unavailable as error:
        cause = getattr(error.__cause__, "orig", None) or error.__cause__ or error
        why = str(cause).strip().partition("\n")[0]
        raise Unavailable(f"the {engine} cannot be used: {why} (--{engine} names another)") from error
