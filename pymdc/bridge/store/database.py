"""The connection to the database: its engine and its transactions.

Every statement runs on SQLite and on PostgreSQL. Any number of processes may share a database. If only one of them may
get something, update the row under a condition and check whether a row was changed, or use a unique constraint.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy import exc

from .. import migrations
from ..engine import Engine
from ..errors import Full, Refused, Unavailable
from ..settings import DATABASE_THREADS, LONG_ANSWER_SECONDS
from .clock import database_time
from .fair_lock import FairLock

__all__ = ["Database", "insert_unique", "retry_until", "sqlite_file"]

_Result = TypeVar("_Result")

_BUSY_MILLISECONDS = 10_000  # how long a statement waits for another writer before it gives up
_TURN_SECONDS = 30.0  # how long a write waits for other writes of this process
_IDLE_MILLISECONDS = 60_000  # PostgreSQL frees the rows of a bridge that vanished in the middle of a transaction
_POOL_SECONDS = 10.0  # how long a request waits for a free connection; there is one for each thread
_CLOCK_SECONDS = 1.0  # an answer that took longer is not exact enough to tell the time
_ATTEMPTS = 8  # if two transactions insert the same row, the later one finds it on its next attempt


# The errors that mean that the engine failed, and not that a statement was wrong.
_AWAY = (exc.OperationalError, exc.InterfaceError, exc.InternalError, exc.TimeoutError)


class Database:
    """A connection pool and transactions. A failure of the engine becomes `Unavailable`. Threads may share it.

    Attributes:
        engine: whether it answers.

    Raises:
        ValueError: the URL names no database that can be used here.
    """

    def __init__(self, url: str) -> None:
        try:
            self._engine = sa.create_engine(
                url,
                pool_size=DATABASE_THREADS + 1,  # one more for the thread that accepts signed requests
                max_overflow=0,
                pool_timeout=_POOL_SECONDS,
                hide_parameters=True,  # they hold addresses and hashes, and errors are logged
                pool_pre_ping=True,  # a database that went away and came back is found again
                connect_args=_ARGUMENTS.get(_backend(url), {}),
            )
        except exc.ArgumentError as error:
            raise ValueError(f"the database URL cannot be used: {error}") from error
        except ImportError as error:
            what = 'pip install "pymdc-metadisk[bridge,postgresql]"'
            raise ValueError(f"the database URL cannot be used: {error}: {what}") from error
        _keep_private(sqlite_file(url))
        self.engine = Engine("the database")
        self._ahead: float | None = None
        self._write_lock = FairLock()
        for event, listener in _LISTENERS.get(self._engine.dialect.name, {}).items():
            sa.event.listen(self._engine, event, listener)

    def migrate(self) -> None:
        """Migrate the tables to this release's version. Any number of processes may do this at once.

        Raises:
            ValueError: the database is of a later release, or its tables are not a bridge's.
        """
        with self.read() as connection:
            current = migrations.is_current(connection)
        if not current:  # a normal start needs no lock
            self._upgrade()

    def pending(self) -> Sequence[str]:
        """Return the migration steps that the tables still need, one line each.

        Raises:
            ValueError: the database is of a later release, or its tables are not a bridge's.
        """
        with self.read() as connection:
            return migrations.pending(connection)

    def require_current(self) -> None:
        """Raise a `ValueError` if the tables are not of this release's version."""
        if pending := self.pending():
            raise ValueError(f"the database lacks {len(pending)} steps of this release: pymdc bridge migrate")

    def _upgrade(self) -> None:
        for _ in range(_ATTEMPTS):  # another process may need long for its steps
            with suppress(Unavailable), self.write() as connection, retry_until(connection):
                migrations.upgrade(connection)
                return
        raise Unavailable("The tables of the database cannot be brought to this release now, try again later")

    def measure_clock(self) -> None:
        """Read the clock of a database server; see `now`."""
        if self._engine.dialect.name != "sqlite":
            with self.read() as connection:
                asked = time.monotonic()
                answer: int = connection.execute(sa.select(database_time())).scalar_one()
                took = time.monotonic() - asked
            if took < _CLOCK_SECONDS or self._ahead is None:
                self._ahead = answer / 1000 - (asked + took / 2)

    def now(self) -> int:
        """Return the time at the database, in milliseconds since 1970.

        Several bridges share its clock, so that a wrong clock on one machine does no harm. The database's clock is read
        now and then. In between, a clock that nobody can set counts on from there.
        """
        if self._ahead is None:
            return time.time_ns() // 1_000_000
        return int((self._ahead + time.monotonic()) * 1000)

    def close(self) -> None:
        """Close the connections."""
        self._engine.dispose()

    @contextmanager
    def read(self) -> Iterator[sa.Connection]:
        """A transaction that only reads: it sees one consistent state."""
        with self._translated(), self._engine.connect().execution_options(reading=True) as connection:
            yield connection

    @contextmanager
    def write(self) -> Iterator[sa.Connection]:
        """A transaction that writes. If an exception leaves it, everything in it is rolled back."""
        with self.writing(), self._engine.begin() as connection:
            yield connection

    @property
    def dialect(self) -> str:
        """The engine's name: `sqlite` or `postgresql`."""
        return self._engine.dialect.name

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Wait until this thread may write, if the engine lets only one connection write. Translate failures."""
        with self._translated():
            if self.dialect == "sqlite":
                with self._write_lock.held(_TURN_SECONDS):
                    yield
            else:
                yield

    def driver_connection(self) -> sa.PoolProxiedConnection:
        """Take a connection from the pool, for use without SQLAlchemy. The caller closes or invalidates it."""
        return self._engine.raw_connection()

    @contextmanager
    def _translated(self) -> Iterator[None]:
        driver = self._engine.dialect.loaded_dbapi
        try:
            yield
        except (TimeoutError, driver.OperationalError, driver.InterfaceError, driver.InternalError, *_AWAY) as error:
            cause = getattr(error, "orig", None) or error
            self.engine.failed(f"{type(cause).__name__}: {cause}")
            if "disk is full" in str(cause):  # in SQLite's words
                raise Full from error
            raise Unavailable("The database is not available, try again later") from error
        self.engine.answered()

    def settle(self, work: Callable[[sa.Connection], _Result]) -> _Result:
        """Run `work` in a transaction. Run it again if another transaction has just inserted the same row."""
        for _ in range(_ATTEMPTS):
            with suppress(exc.IntegrityError), self.write() as connection:
                return work(connection)
        raise Unavailable("The bridge is too busy, try again")


@contextmanager
def retry_until(connection: sa.Connection) -> Iterator[None]:
    """In this context the database server may take long to answer, since the statements are much work."""
    driver: Any = connection.connection.driver_connection
    if connection.dialect.name == "sqlite":
        yield
        return
    driver.patience, before = LONG_ANSWER_SECONDS, driver.patience
    try:
        yield
    finally:
        driver.patience = before


def insert_unique(connection: sa.Connection, statement: sa.Insert, taken: Refused) -> None:
    """Insert a row. If it exists already, refuse with `taken`."""
    try:
        connection.execute(statement)
    except exc.IntegrityError as error:
        raise taken from error


def sqlite_file(url: str) -> Path | None:
    """Return the file of a database, or `None` if it is in none.

    Raises:
        ValueError: this is no URL of a database.
    """
    try:
        parts = sa.make_url(url)
    except exc.ArgumentError as error:
        raise ValueError(f"the database URL cannot be used: {error}") from error
    in_file = parts.get_backend_name() == "sqlite" and parts.database and parts.database != ":memory:"
    return Path(str(parts.database)) if in_file else None


def _backend(url: str) -> str:
    name = sa.make_url(url).get_backend_name()
    if name not in _LISTENERS:
        raise exc.ArgumentError("it begins with neither sqlite:/// nor postgresql+psycopg://")
    return name


def _keep_private(file: Path | None) -> None:
    """Let only its owner read an SQLite file, whatever the umask. SQLite gives the files beside it the same mode."""
    if file is not None:
        with suppress(OSError):  # if the place is wrong, opening the database reports it
            os.close(os.open(file, os.O_RDWR | os.O_CREAT, 0o600))
            file.chmod(0o600)


def _prepare_sqlite(connection: Any, _: object) -> None:
    connection.isolation_level = None  # `_begin` below starts transactions, not the driver
    connection.execute(f"PRAGMA busy_timeout = {_BUSY_MILLISECONDS}")
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")  # a commit survives a loss of power
    connection.execute("PRAGMA foreign_keys = ON")


def _connect_postgresql(_: object, __: object, arguments: Any, parameters: Any) -> Any:
    from .postgresql import Connection  # here, because its driver is not installed where only SQLite is used

    return Connection.connect(*arguments, **parameters)


def _prepare_postgresql(connection: Any, _: object) -> None:
    limits = {"lock_timeout": _BUSY_MILLISECONDS, "idle_in_transaction_session_timeout": _IDLE_MILLISECONDS}
    # The latter does not count while a statement has arrived in part. So the server also checks whether the bridge's
    # machine is there: within 20 s its rows are free again. Behind a pooler, that is the pooler's machine.
    connection.set_values(limits, {f"tcp_keepalives_{name}": value for name, value in _KEEPALIVE.items()})


def _begin_postgresql(connection: sa.Connection) -> None:
    driver: Any = connection.connection.driver_connection
    if driver.limits:
        connection.exec_driver_sql(driver.limits)


def _begin_sqlite(connection: sa.Connection) -> None:
    # A transaction that begins as a reader and then writes fails if another one wrote in between.
    reading = connection.get_execution_options().get("reading", False)
    connection.exec_driver_sql("BEGIN" if reading else "BEGIN IMMEDIATE")


_LISTENERS: dict[str, dict[str, Callable[..., None]]] = {
    "sqlite": {"connect": _prepare_sqlite, "begin": _begin_sqlite},
    "postgresql": {"do_connect": _connect_postgresql, "connect": _prepare_postgresql, "begin": _begin_postgresql},
}  # what an engine needs besides what SQLAlchemy does
_KEEPALIVE = {"idle": 10, "interval": 5, "count": 2}  # seconds, seconds, and how often
_ARGUMENTS: dict[str, dict[str, Any]] = {
    # A server whose machine or network has failed says nothing. These limits are in seconds and in milliseconds.
    "postgresql": {
        "connect_timeout": 5,
        "tcp_user_timeout": 20_000,
        **{f"keepalives_{name}": value for name, value in _KEEPALIVE.items()},
    },
}
