"""The nonces and signatures of accepted requests. They tell a replay from a request that arrives late.

They are stored for each subject: a user, or a bucket (a key in its `pubkeys` may ask for tokens). Each pair of nonce
and signature is accepted once: either it is stored, or its nonce is at or below the floor, the highest nonce that was
deleted. Nonces are stored as `comparable` returns them. If a release changes `comparable`, a step of `migrations` must
change the stored nonces.
"""

from __future__ import annotations

import math
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from ..errors import Refused
from ..settings import FORGET_ONE_IN, NONCE_SECONDS, NONCES, NONCES_AT_MOST
from .clock import database_time
from .tables import floors, signatures

__all__ = [
    "NO_NONCE",
    "Nonce",
    "Replayed",
    "Stale",
    "comparable",
    "forget",
    "forget_all",
    "remember",
    "start_floor",
    "to_forget_for",
]

_Request = TypeVar("_Request")

# Clients count in different units. A time between the years 2001 and 5138 tells its unit by its size.
_FIRST_SECOND, _LAST_SECOND = 1e9, 1e11
_UNITS = (1.0, 1e3, 1e6, 1e9)  # how many seconds, milliseconds, microseconds and nanoseconds are in a second
_INSERT: dict[str, Any] = {"sqlite": sqlite.insert, "postgresql": postgresql.insert}  # they alone know ON CONFLICT
_MINE = sa.and_(signatures.c.subject == sa.bindparam("subject"), signatures.c.timed == sa.bindparam("timed"))
_FLOOR = sa.select(floors.c.nonce).where(
    floors.c.subject == sa.bindparam("subject"), floors.c.timed == sa.bindparam("timed")
)

# An early release did not store nonces for buckets. A migration has set them to `NO_NONCE`: there only the signature
# tells a replay.
_UNKNOWN = sa.select(signatures.c.nonce).where(
    signatures.c.subject == sa.bindparam("subject"),
    signatures.c.timed.is_(False),
    signatures.c.nonce == math.inf,
    signatures.c.signature == sa.bindparam("signature"),
)


@dataclass(frozen=True)
class Nonce:
    """A nonce in the form for comparison.

    Attributes:
        timed: whether it is a time. Times are compared with times, and other numbers with other numbers.
        value: milliseconds since 1970 if it is a time, else the number itself.
    """

    timed: bool
    value: float


NO_NONCE = Nonce(False, math.inf)
"""The nonce of a request that needs no nonce and has none. It is never below a floor of numbers."""


class Replayed(Refused):
    """The same request was accepted before."""

    def __init__(self) -> None:
        super().__init__(401, "Invalid nonce supplied")


class Stale(Refused):
    """The nonce is not above the highest deleted one."""

    def __init__(self) -> None:
        super().__init__(401, "Invalid nonce supplied")


def comparable(nonce: float) -> Nonce:
    """Return a nonce in the form for comparison: clients that count in different units may share an account."""
    for unit in _UNITS:
        if _FIRST_SECOND <= nonce / unit < _LAST_SECOND:
            return Nonce(True, nonce * 1000 / unit)
    return Nonce(False, nonce)


def remember(connection: sa.Connection, subject: str, nonce: Nonce, signature: str) -> None:
    """Remember a request that is being accepted, in the transaction of `connection`. `statements.py` has it for many.

    Raises:
        Replayed: it was accepted before.
        Stale: its nonce is at or below the floor.
    """
    row = {"subject": subject, "signature": signature, "timed": nonce.timed, "nonce": nonce.value}
    if connection.execute(_UNKNOWN, row).first() is not None:
        raise Replayed
    added = _INSERT[connection.dialect.name](signatures).values(accepted=database_time()).on_conflict_do_nothing()
    if connection.execute(added.returning(signatures.c.nonce), row).first() is None:
        raise Replayed
    # The floor is read after the insert: the insert waits for another process that is just deleting this request.
    floor = connection.execute(_FLOOR, {"subject": subject, "timed": nonce.timed}).scalar()
    if floor is not None and nonce.value <= floor:
        raise Stale


def start_floor(connection: sa.Connection, subject: str, nonce: Nonce) -> None:
    """Give a subject that has no floor of times its first one: `NONCE_SECONDS` ago, or before the first nonce."""
    floor = min(nonce.value, connection.execute(sa.select(database_time())).scalar_one()) - NONCE_SECONDS * 1000
    row = {"subject": subject, "timed": True, "nonce": floor}
    connection.execute(_INSERT[connection.dialect.name](floors).on_conflict_do_nothing(), row)


def to_forget_for(requests: Sequence[_Request]) -> Sequence[_Request]:
    """Choose by chance at most one of some requests: the bridge will delete older ones of its subject.

    Each is chosen with a chance of one in `FORGET_ONE_IN`, so that no client can know when.
    """
    number = secrets.randbelow(FORGET_ONE_IN)
    return requests[number : number + 1]


def forget(connection: sa.Connection, subject: str) -> None:
    """Delete the lowest nonces of a subject that are no longer needed, and raise its floors.

    It keeps the highest `NONCES`, and those that were accepted in the last `NONCE_SECONDS`, up to `NONCES_AT_MOST`.
    """
    for timed in (True, False):
        mine = {"subject": subject, "timed": timed}
        highest = max(_superfluous(connection, mine), _nth(connection, mine, NONCES_AT_MOST))
        if highest > -math.inf:
            _raise_floor(connection, {**mine, "nonce": highest})
            connection.execute(signatures.delete().where(_MINE, signatures.c.nonce <= sa.bindparam("highest")),
                               {**mine, "highest": highest})  # fmt: skip


def forget_all(connection: sa.Connection, subject: str, limit: int) -> int:
    """Delete some requests of a subject that is being removed, and return how many. Call it until it returns 0."""
    mine = signatures.c.subject == subject
    name = sa.tuple_(signatures.c.timed, signatures.c.nonce, signatures.c.signature)
    some = sa.select(signatures.c.timed, signatures.c.nonce, signatures.c.signature).where(mine).limit(limit)
    return connection.execute(signatures.delete().where(mine, name.in_(some))).rowcount


def _superfluous(connection: sa.Connection, mine: dict[str, Any]) -> float:
    bound = _nth(connection, mine, NONCES)
    if bound == -math.inf:
        return bound
    recent = sa.select(signatures.c.nonce).where(_MINE, signatures.c.accepted > database_time() - NONCE_SECONDS * 1000)
    lowest = connection.execute(recent.order_by(signatures.c.nonce).limit(1), mine).scalar()
    below = signatures.c.nonce < (math.inf if lowest is None else lowest)
    highest = sa.select(sa.func.max(signatures.c.nonce)).where(_MINE, signatures.c.nonce <= bound, below)
    found: float | None = connection.execute(highest, mine).scalar()
    return -math.inf if found is None else found


def _nth(connection: sa.Connection, mine: dict[str, Any], number: int) -> float:
    query = sa.select(signatures.c.nonce).where(_MINE).order_by(signatures.c.nonce.desc()).offset(number).limit(1)
    found: float | None = connection.execute(query, mine).scalar()
    return -math.inf if found is None else found


def _raise_floor(connection: sa.Connection, row: dict[str, Any]) -> None:
    added = _INSERT[connection.dialect.name](floors).values(row)
    higher = sa.case((floors.c.nonce > added.excluded.nonce, floors.c.nonce), else_=added.excluded.nonce)
    connection.execute(added.on_conflict_do_update(index_elements=["subject", "timed"], set_={"nonce": higher}))
