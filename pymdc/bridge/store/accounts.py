"""Accounts as an operator sees them."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from .buckets import delete_buckets
from .database import Database
from .tables import activations, buckets, floors, signatures, users

__all__ = ["Account", "Accounts"]

_AT_ONCE = 500  # buckets and signatures that one step removes: some milliseconds
_PAUSE_SECONDS = 0.01  # between two steps, so that others can write


@dataclass(frozen=True)
class Account:
    """A user, how many buckets there are, and how many bytes they hold."""

    email: str
    created: int
    activated: bool
    buckets: int
    stored: int


class Accounts:
    """What an operator may do with accounts. Every method may raise `Unavailable`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def all(self) -> Sequence[Account]:
        """Return every account, oldest first."""
        stored = sa.cast(sa.func.coalesce(sa.func.sum(buckets.c.stored), 0), sa.BigInteger)
        query = (
            sa.select(users.c.email, users.c.created, users.c.activated, sa.func.count(buckets.c.id), stored)
            .select_from(users.outerjoin(buckets))
            .group_by(users.c.email)
            .order_by(users.c.created, users.c.email)
        )
        with self._database.read() as connection:
            return [Account(*row) for row in connection.execute(query)]

    def activate(self, email: str) -> bool:
        """Activate an account without its mail. Tell whether there is such an account."""
        with self._database.write() as connection:
            connection.execute(activations.delete().where(activations.c.email == email))
            return bool(
                connection.execute(users.update().where(users.c.email == email).values(activated=True)).rowcount
            )

    def remove(self, email: str) -> bool:
        """Remove an account with all that is its own: keys, buckets, files. Tell whether there is such an account.

        It is closed first, so that nothing is added meanwhile, and then taken apart in small steps. If this is
        interrupted, it can be done again. The files are cleaned away later, see `Leftovers`.
        """
        with self._database.write() as connection:
            change = users.update().where(users.c.email == email).values(activated=False)
            found = bool(connection.execute(change).rowcount)
            connection.execute(activations.delete().where(activations.c.email == email))
        while self._remove_some(email):
            time.sleep(_PAUSE_SECONDS)
        with self._database.write() as connection:
            # A request that began before the account was closed may just be making a bucket.
            connection.execute(sa.select(users.c.email).where(users.c.email == email).with_for_update())
            delete_buckets(connection, _some_buckets(connection, email, None))
            connection.execute(floors.delete().where(floors.c.subject == email))
            connection.execute(users.delete().where(users.c.email == email))
        return found

    def _remove_some(self, email: str) -> bool:
        with self._database.write() as connection:
            names = _some_buckets(connection, email, _AT_ONCE)
            delete_buckets(connection, names)
            some = sa.select(signatures.c.signature).where(signatures.c.subject == email).limit(_AT_ONCE)
            forgotten = signatures.delete().where(signatures.c.subject == email, signatures.c.signature.in_(some))
            return bool(names) + connection.execute(forgotten).rowcount > 0


def _some_buckets(connection: sa.Connection, email: str, limit: int | None) -> Sequence[str]:
    return connection.execute(sa.select(buckets.c.id).where(buckets.c.email == email).limit(limit)).scalars().all()
