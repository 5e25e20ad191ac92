"""Accounts as an operator sees them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from .buckets import Buckets
from .database import Database
from .tables import activations, buckets, signatures, users

__all__ = ["Account", "Accounts"]


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

        It is closed first, so that nothing is added meanwhile. If this is interrupted, it can be done again.
        """
        with self._database.write() as connection:
            change = users.update().where(users.c.email == email).values(activated=False)
            found = bool(connection.execute(change).rowcount)
            connection.execute(activations.delete().where(activations.c.email == email))
        theirs = Buckets(self._database)
        for bucket in theirs.of_user(email):
            theirs.delete(bucket.id, email)
        with self._database.write() as connection:
            connection.execute(signatures.delete().where(signatures.c.subject == email))
            connection.execute(users.delete().where(users.c.email == email))
        return found
