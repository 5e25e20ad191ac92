"""The SQL that every signed request runs, in the form that the drivers of SQLite and PostgreSQL take.

It is raw SQL because every signed request runs it: SQLAlchemy would take more time than the database itself. Each
statement serves a whole batch of requests, because each costs a change of threads (SQLite) or a round trip
(PostgreSQL).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Protocol

from .clock import ON_POSTGRESQL, ON_SQLITE

__all__ = ["FEW_BUCKETS", "FEW_KEYS", "STATEMENTS", "Answers", "Statements"]

FEW_BUCKETS = 256
"""How many buckets are read for a batch. If there are more, each list is read by itself, page by page."""

FEW_KEYS = 2048
"""The same for the keys of these buckets."""

# The insert comes first: it waits for another process that is just deleting the same request. The floor is read after
# it, so that a deleted request does not count as new.
_INSERT = """
INSERT INTO signatures (subject, timed, nonce, signature, accepted)
SELECT keys.email, given.timed, given.nonce, given.signature, {now}
FROM {given} JOIN keys ON keys.point = given.point JOIN users ON users.email = keys.email
WHERE users.activated ORDER BY given.signature
ON CONFLICT DO NOTHING RETURNING subject, signature
"""
_USERS = """
SELECT keys.point, users.email, users.created, users.activated, keys.text, numbers.nonce, times.nonce
FROM keys JOIN users ON users.email = keys.email
LEFT JOIN floors AS numbers ON numbers.subject = users.email AND NOT numbers.timed
LEFT JOIN floors AS times ON times.subject = users.email AND times.timed
WHERE keys.point {points}
"""
_OF_THESE = "buckets WHERE email IN (SELECT email FROM keys WHERE point {points})"
_BUCKETS = (
    "SELECT number, id, email, name, storage, transfer, created, stored, sent "  # noqa: S608 -- of constants alone
    f"FROM {_OF_THESE} LIMIT {FEW_BUCKETS + 1}"
)
_KEYS = (
    f"SELECT bucket, position, text, point FROM (SELECT id FROM {_OF_THESE} LIMIT {FEW_BUCKETS + 1}) AS few "  # noqa: S608
    f"JOIN bucket_keys ON bucket_keys.bucket = few.id LIMIT {FEW_KEYS + 1}"
)

Row = tuple[str, str, bool, float]
"""A point, the hash of a signature, whether the nonce is a time, and the nonce."""


@dataclass(frozen=True)
class Answers:
    """What the database returns for a batch.

    Attributes:
        added: subject and signature of each new request.
        users: by point, as `_USERS` has it.
        buckets: those of the users that ask for them; `None` where there are too many.
        keys: those in the buckets.
    """

    added: Sequence[tuple[str, str]]
    users: Sequence[Any]
    buckets: Sequence[Any] | None = None
    keys: Sequence[Any] = ()


class Statements(Protocol):
    """How one engine runs a batch in a transaction."""

    def run(self, connection: Any, rows: Sequence[Row], points: Sequence[str], listing: Sequence[str]) -> Answers:
        """Run and commit a batch on a connection of the driver, on which no transaction has begun.

        Arguments:
            rows: the requests that may be accepted.
            points: the keys whose users are asked for.
            listing: the keys whose users' buckets are asked for.
        """


class _SQLite:
    def run(self, connection: Any, rows: Sequence[Row], points: Sequence[str], listing: Sequence[str]) -> Answers:
        added, buckets, keys = (), None, ()
        connection.execute("BEGIN IMMEDIATE")
        if rows:
            values = [value for row in rows for value in row]
            added = connection.execute(_sqlite_insert(len(rows)), values).fetchall()
        users = connection.execute(_sqlite(_USERS, len(points)), points).fetchall()
        if listing:
            buckets = connection.execute(_sqlite(_BUCKETS, len(listing)), listing).fetchall()
            if buckets:
                keys = connection.execute(_sqlite(_KEYS, len(listing)), listing).fetchall()
        connection.execute("COMMIT")
        return _answers(added, users, buckets, keys)


class _PostgreSQL:
    def run(self, connection: Any, rows: Sequence[Row], points: Sequence[str], listing: Sequence[str]) -> Answers:
        statements = [(_POSTGRESQL_INSERT, _columns(rows)), (_postgresql(_USERS), [",".join(points)])]
        if listing:
            statements += [(_postgresql(sql), [",".join(listing)]) for sql in (_BUCKETS, _KEYS)]
        return _answers(*connection.transact(statements))


def _columns(rows: Sequence[Row]) -> list[str]:
    # No value has a comma. psycopg would need ten times as long to write them as arrays.
    texts = [(point, signature, str(timed), repr(nonce)) for point, signature, timed, nonce in rows]
    return [",".join(text[column] for text in texts) for column in range(4)]


def _answers(added: Any, users: Any, buckets: Any = None, keys: Any = ()) -> Answers:
    few = buckets is not None and len(buckets) <= FEW_BUCKETS and len(keys) <= FEW_KEYS
    return Answers(added, users, buckets if few else None, keys)


@lru_cache(maxsize=512)
def _sqlite_insert(count: int) -> str:
    given = "(SELECT column1 AS point, column2 AS signature, column3 AS timed, column4 AS nonce FROM (VALUES {}))"
    return _INSERT.format(now=ON_SQLITE, given=given.format(", ".join(["(?, ?, ?, ?)"] * count)) + " AS given")


@lru_cache(maxsize=512)
def _sqlite(statement: str, count: int) -> str:
    return statement.format(points=f"IN ({', '.join('?' * count)})")


@lru_cache
def _postgresql(statement: str) -> str:
    return statement.format(points="= ANY(string_to_array($1, ','))")


_POSTGRESQL_INSERT = _INSERT.format(
    now=ON_POSTGRESQL,
    given="unnest(string_to_array($1, ','), string_to_array($2, ','), string_to_array($3, ',')::boolean[], "
    "string_to_array($4, ',')::float8[]) AS given(point, signature, timed, nonce)",
)
STATEMENTS: dict[str, Statements] = {"sqlite": _SQLite(), "postgresql": _PostgreSQL()}
