"""Recent requests for activation mails, to limit them: else a bridge could be used to flood other people's inboxes."""

from __future__ import annotations

import sqlalchemy as sa

from ..errors import Refused
from .database import Database
from .tables import registrations, token_hash

__all__ = ["Registrations"]

_HOUR = 3_600_000


class Registrations:
    """The registrations in the database. Every method may raise `Unavailable`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def admit(self, address: str, limit: int, now: int) -> None:
        """Count a registration from an address.

        Raises:
            Refused: there were `limit` of them within the last hour.
        """
        mine = registrations.c.address == address, registrations.c.time > now - _HOUR
        with self._database.write() as connection:
            if (
                connection.execute(sa.select(sa.func.count()).select_from(registrations).where(*mine)).scalar_one()
                >= limit
            ):
                raise Refused(429, "Too many registrations from this address, try again in an hour")
            connection.execute(registrations.insert().values(address=address, time=now))

    def admit_again(self, email: str, limit: int, now: int) -> None:
        """Count another mail to the same account, whichever address asks for it.

        Raises:
            Refused: there were `limit` of them within the last hour.
        """
        self.admit(token_hash(email), limit, now)  # a hash fits into the column, and never equals an address

    def sweep(self, now: int) -> None:
        """Remove those that are older than an hour."""
        with self._database.write() as connection:
            connection.execute(registrations.delete().where(registrations.c.time <= now - _HOUR))
