"""The tables, and the way to a database that holds them.

Every statement runs on SQLite and on PostgreSQL. Any number of processes may share a database: whoever wants a thing
that can be had once changes a row under a condition and looks whether a row was changed, or leans on a unique
constraint. Times are milliseconds since 1970.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy import exc

from .. import migrations
from ..errors import Refused, Unavailable
from ..settings import DATABASE_THREADS

__all__ = ["Database", "insert_unique", "metadata", "token_hash"]

_log = logging.getLogger("pymdc.bridge")
_Result = TypeVar("_Result")

_BUSY_MILLISECONDS = 10_000  # how long a statement waits for another writer before it gives up
_IDLE_MILLISECONDS = 60_000  # PostgreSQL frees the rows of a bridge that vanished in the middle of a transaction
_POOL_SECONDS = 10.0  # how long a request waits for a free connection; there is one for each thread
_ATTEMPTS = 8  # two transactions that made the same row: the later one finds it on its next attempt
_NUMBER = sa.BigInteger().with_variant(sa.Integer, "sqlite")  # SQLite counts up only a column of this type


class AnyText(sa.TypeDecorator[str]):
    """Text that may hold any character. PostgreSQL stores no NUL, so it is kept as the ASCII of a JSON string."""

    impl = sa.Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: sa.Dialect) -> str | None:
        return None if value is None else json.dumps(value)

    def process_result_value(self, value: str | None, dialect: sa.Dialect) -> str | None:
        return None if value is None else str(json.loads(value))


metadata = sa.MetaData()

users = sa.Table(
    "users",
    metadata,
    sa.Column("email", sa.String(254), primary_key=True),
    sa.Column("password", sa.String(200), nullable=False),
    sa.Column("created", sa.BigInteger, nullable=False),
    sa.Column("activated", sa.Boolean, nullable=False),
    sa.Column("floor", sa.Double),  # nonces up to here have been forgotten, and so are refused
)
activations = sa.Table(
    "activations",
    metadata,
    sa.Column("token", sa.String(64), primary_key=True),  # the hash of it
    sa.Column("email", sa.ForeignKey("users.email", ondelete="CASCADE"), nullable=False, index=True),
    sa.Column("mailed", sa.Boolean, nullable=False),  # until then nobody can know the token
)
# Who asked for mails of late, to tell a flood.
registrations = sa.Table(
    "registrations",
    metadata,
    sa.Column("number", _NUMBER, primary_key=True, autoincrement=True),
    sa.Column("address", sa.String(64), nullable=False, index=True),
    sa.Column("time", sa.BigInteger, nullable=False),
)
keys = sa.Table(
    "keys",
    metadata,
    sa.Column("number", _NUMBER, primary_key=True, autoincrement=True),
    sa.Column("point", sa.String(66), nullable=False, unique=True),
    sa.Column("text", sa.String(130), nullable=False),
    sa.Column("email", sa.ForeignKey("users.email", ondelete="CASCADE"), nullable=False, index=True),
)
# The requests that were accepted, by the hash of their signatures: of each user the latest, of each bucket (where a
# key of its `pubkeys` may ask for tokens without a nonce) all.
signatures = sa.Table(
    "signatures",
    metadata,
    sa.Column("subject", sa.String(254), primary_key=True),
    sa.Column("signature", sa.String(64), primary_key=True),
    sa.Column("nonce", sa.Double, nullable=False),
    sa.Index("signatures_by_nonce", "subject", "nonce"),
)
buckets = sa.Table(
    "buckets",
    metadata,
    sa.Column("number", _NUMBER, primary_key=True, autoincrement=True),
    sa.Column("id", sa.String(24), nullable=False, unique=True),
    sa.Column("email", sa.ForeignKey("users.email", ondelete="CASCADE"), nullable=False, index=True),
    sa.Column("name", AnyText),
    sa.Column("storage", sa.Double, nullable=False),
    sa.Column("transfer", sa.Double, nullable=False),
    sa.Column("created", sa.BigInteger, nullable=False),
    sa.Column("stored", sa.BigInteger, nullable=False),  # bytes that its files hold
    sa.Column("sent", sa.BigInteger, nullable=False),  # bytes that were downloaded from it
)
bucket_keys = sa.Table(
    "bucket_keys",
    metadata,
    sa.Column("bucket", sa.ForeignKey("buckets.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("position", sa.Integer, primary_key=True),
    sa.Column("text", sa.String(130), nullable=False),
    sa.Column("point", sa.String(66), nullable=False),
)
# Tokens outlive their bucket, so that one of a deleted bucket is told "Bucket not found".
tokens = sa.Table(
    "tokens",
    metadata,
    sa.Column("token", sa.String(64), primary_key=True),  # the hash of it
    sa.Column("bucket", sa.String(24), nullable=False),
    sa.Column("operation", sa.String(4), nullable=False),
    sa.Column("expires", sa.BigInteger, nullable=False, index=True),
    sa.Column("spent", sa.BigInteger),
)
channel_tokens = sa.Table(
    "channel_tokens",
    metadata,
    sa.Column("token", sa.String(64), primary_key=True),  # the hash of it
    sa.Column("bucket", sa.String(24), nullable=False),
    sa.Column("shard", sa.String(40), nullable=False),
    sa.Column("expires", sa.BigInteger, nullable=False, index=True),
    sa.Column("spent", sa.BigInteger),
)
# An entry names a content, a content is made of shards, and a shard lies in the store as a blob. Contents and shards
# are kept once, however many point to them, and go when nothing does.
entries = sa.Table(
    "entries",
    metadata,
    sa.Column("number", _NUMBER, primary_key=True, autoincrement=True),
    sa.Column("bucket", sa.ForeignKey("buckets.id"), nullable=False),
    sa.Column("content", sa.ForeignKey("contents.hash"), nullable=False, index=True),
    sa.Column("filename", AnyText, nullable=False),
    sa.Column("mimetype", AnyText, nullable=False),
    sa.UniqueConstraint("bucket", "content"),
)
contents = sa.Table(
    "contents",
    metadata,
    sa.Column("hash", sa.String(40), primary_key=True),
    sa.Column("size", sa.BigInteger, nullable=False),
    sa.Column("references", sa.BigInteger, nullable=False),  # entries
)
content_shards = sa.Table(
    "content_shards",
    metadata,
    sa.Column("content", sa.ForeignKey("contents.hash"), primary_key=True),
    sa.Column("position", sa.Integer, primary_key=True),
    sa.Column("shard", sa.ForeignKey("shards.hash"), nullable=False, index=True),
)
shards = sa.Table(
    "shards",
    metadata,
    sa.Column("hash", sa.String(40), primary_key=True),
    sa.Column("size", sa.BigInteger, nullable=False),
    sa.Column("blob", sa.String(64), nullable=False, index=True),
    sa.Column("references", sa.BigInteger, nullable=False),  # contents
)
# The journal of what is not, or no longer, kept: blobs of uploads under way, and blobs that nothing points to.
uploads = sa.Table(
    "uploads",
    metadata,
    sa.Column("id", sa.String(32), primary_key=True),  # the first part of the names of its blobs
    sa.Column("touched", sa.BigInteger, nullable=False),  # its last sign of life
    sa.Column("dead", sa.Boolean, nullable=False),
)
garbage = sa.Table("garbage", metadata, sa.Column("blob", sa.String(64), primary_key=True))


class Database:
    """A connection pool, and transactions in which an engine's failure is `Unavailable`. Threads may share it.

    Raises:
        ValueError: the URL names no database that can be used here.
    """

    def __init__(self, url: str) -> None:
        try:
            self._engine = sa.create_engine(
                url,
                pool_size=DATABASE_THREADS,
                max_overflow=0,
                pool_timeout=_POOL_SECONDS,
                pool_pre_ping=True,  # a database that went away and came back is found again
                connect_args=_ARGUMENTS.get(sa.make_url(url).get_backend_name(), {}),
            )
        except (exc.ArgumentError, ImportError) as error:
            raise ValueError(f"the database URL cannot be used: {error}") from error
        for event, listener in _LISTENERS.get(self._engine.dialect.name, {}).items():
            sa.event.listen(self._engine, event, listener)

    def migrate(self) -> None:
        """Bring the tables to this release's version. Any number of processes may do so at once.

        Raises:
            ValueError: the database is of a later release, or its tables are not a bridge's.
        """
        with self.read() as connection:
            pending = migrations.pending(connection)
        if pending:  # else a start needs no lock
            self._upgrade()

    def _upgrade(self) -> None:
        for _ in range(_ATTEMPTS):  # another process may take long over its steps
            with suppress(Unavailable), self.write() as connection:
                migrations.upgrade(connection)
                return
        raise Unavailable("The tables of the database cannot be brought to this release now, try again later")

    def close(self) -> None:
        """Close the connections."""
        self._engine.dispose()

    @contextmanager
    def read(self) -> Iterator[sa.Connection]:
        """One consistent look at the database."""
        with _translated(), self._engine.connect().execution_options(reading=True) as connection:
            yield connection

    @contextmanager
    def write(self) -> Iterator[sa.Connection]:
        """One transaction: all of it, or, where an exception leaves it, nothing."""
        with _translated(), self._engine.begin() as connection:
            yield connection

    def settle(self, work: Callable[[sa.Connection], _Result]) -> _Result:
        """Run `work` in a transaction; run it anew where another transaction has just made the same row."""
        for _ in range(_ATTEMPTS):
            with suppress(exc.IntegrityError), self.write() as connection:
                return work(connection)
        raise Unavailable("The bridge is too busy, try again")


def insert_unique(connection: sa.Connection, statement: sa.Insert, message: str) -> None:
    """Insert a row; where there is one already, the transaction is refused with 409 and `message`."""
    try:
        connection.execute(statement)
    except exc.IntegrityError as error:
        raise Refused(409, message) from error


def token_hash(token: str) -> str:
    """Return what is kept of a token. Tokens are random, so a plain hash cannot be turned back."""
    return hashlib.sha256(token.encode("utf-8", "replace")).hexdigest()


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except (exc.OperationalError, exc.InterfaceError, exc.InternalError, exc.TimeoutError) as error:
        _log.warning("the database failed: %s", type(error).__name__, exc_info=error)
        raise Unavailable("The database is not available, try again later") from error


def _prepare_sqlite(connection: Any, _: object) -> None:
    connection.isolation_level = None  # transactions begin where SQLAlchemy says, see below
    connection.execute(f"PRAGMA busy_timeout = {_BUSY_MILLISECONDS}")
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")  # what is acknowledged survives a loss of power
    connection.execute("PRAGMA foreign_keys = ON")


def _prepare_postgresql(connection: Any, _: object) -> None:
    connection.execute(f"SET lock_timeout = {_BUSY_MILLISECONDS}")
    connection.execute(f"SET idle_in_transaction_session_timeout = {_IDLE_MILLISECONDS}")
    connection.commit()


def _begin_sqlite(connection: sa.Connection) -> None:
    # A transaction that begins as a reader and then writes can fail for good where another wrote in between.
    reading = connection.get_execution_options().get("reading", False)
    connection.exec_driver_sql("BEGIN" if reading else "BEGIN IMMEDIATE")


_LISTENERS: dict[str, dict[str, Callable[..., None]]] = {
    "sqlite": {"connect": _prepare_sqlite, "begin": _begin_sqlite},
    "postgresql": {"connect": _prepare_postgresql},
}  # what an engine needs besides what SQLAlchemy does
_ARGUMENTS: dict[str, dict[str, Any]] = {
    # A server whose machine or network is gone says nothing: seconds, and milliseconds.
    "postgresql": {
        "connect_timeout": 5,
        "tcp_user_timeout": 20_000,
        "keepalives_idle": 10,
        "keepalives_interval": 5,
        "keepalives_count": 2,
    },
}
