"""Accounts: users, their activation, their keys, and the signed requests that were accepted from them."""

from __future__ import annotations

from dataclasses import dataclass

import sqlalchemy as sa

from ..errors import Refused
from ..fields import Key
from ..settings import MAIL_LEASE_SECONDS
from .database import Database, insert_unique
from .tables import activations, keys, token_hash, users

__all__ = ["EMAIL_IS_TAKEN", "ListedKey", "User", "Users"]

EMAIL_IS_TAKEN = "Email is already registered"
_PAGE = 1000  # keys in memory at once for a list


@dataclass(frozen=True)
class User:
    """A user, and the key that signed the request, in the form in which it was registered."""

    email: str
    created: int
    activated: bool
    key: Key | None = None


@dataclass(frozen=True)
class ListedKey:
    """A key as its user gave it. `number` orders the keys of a user."""

    text: str
    number: int


class Users:
    """The users in the database. Every method may raise `Unavailable`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def create(self, email: str, password: str, key: Key | None, token: str, now: int) -> User:
        """Register a user who is not activated yet.

        Arguments:
            password: what `auth` made of the password; never the password itself.
            key: a first public key, if any.
            token: the activation token.

        Raises:
            Refused: the e-mail or the key is taken.
        """
        row = {"email": email, "password": password, "created": now, "activated": False}
        with self._database.write() as connection:
            insert_unique(connection, users.insert().values(row), Refused(409, EMAIL_IS_TAKEN))
            connection.execute(activations.insert().values(token=token_hash(token), email=email, mailed=False))
            if key is not None:
                _insert_key(connection, email, key)
        return User(email, now, activated=False)

    def mailed(self, email: str) -> None:
        """Note that the activation mail of a new user has been sent."""
        with self._database.write() as connection:
            connection.execute(activations.update().where(activations.c.email == email).values(mailed=True))

    def unregister(self, email: str) -> None:
        """Remove a new user whose activation mail could not be sent, so that the e-mail can be registered again."""
        with self._database.write() as connection:
            connection.execute(users.delete().where(users.c.email == email, users.c.activated.is_(False)))

    def sweep(self, now: int) -> None:
        """Remove new users whose activation mail was never sent because the process died."""
        unmailed = sa.select(activations.c.email).where(activations.c.mailed.is_(False))
        old = users.c.created < now - MAIL_LEASE_SECONDS * 1000
        with self._database.write() as connection:
            connection.execute(users.delete().where(users.c.email.in_(unmailed), old))

    def activate(self, token: str) -> User:
        """Activate the user who got this activation token by mail. After it, no token of this user works.

        Raises:
            Refused: there is no such token.
        """
        with self._database.write() as connection:
            spent = activations.delete().where(activations.c.token == token_hash(token)).returning(activations.c.email)
            email = connection.execute(spent).scalar()
            if email is None:
                raise Refused(400, "Invalid activation token")
            connection.execute(activations.delete().where(activations.c.email == email))
            change = users.update().where(users.c.email == email).values(activated=True)
            row = connection.execute(change.returning(users.c.created)).one()
        return User(email, row.created, activated=True)

    def with_password(self, email: str) -> tuple[User, str] | None:
        """Return a user and the hashed password, or `None`."""
        with self._database.read() as connection:
            row = connection.execute(users.select().where(users.c.email == email)).one_or_none()
        return None if row is None else (User(row.email, row.created, row.activated), row.password)

    def page_of_keys(self, email: str, after: int = 0) -> tuple[list[ListedKey], bool]:
        """Return the next keys of a user, oldest first, and whether there may be more.

        Arguments:
            after: the number of the last key that is known.
        """
        query = sa.select(keys.c.text, keys.c.number).where(keys.c.email == email, keys.c.number > after)
        with self._database.read() as connection:
            page = [ListedKey(*row) for row in connection.execute(query.order_by(keys.c.number).limit(_PAGE))]
        return page, len(page) == _PAGE

    def add_key(self, email: str, key: Key) -> None:
        """Register a key.

        Raises:
            Refused: it is registered, by anyone and in any form.
        """
        with self._database.write() as connection:
            _insert_key(connection, email, key)

    def delete_key(self, email: str, point: str) -> None:
        """Remove a key.

        Raises:
            Refused: the user has no such key.
        """
        with self._database.write() as connection:
            removed = connection.execute(keys.delete().where(keys.c.email == email, keys.c.point == point))
            if not removed.rowcount:
                raise Refused(404, "Public key was not found")


def _insert_key(connection: sa.Connection, email: str, key: Key) -> None:
    row = {"email": email, "text": key[0], "point": key[1]}
    insert_unique(connection, keys.insert().values(row), Refused(400, "Public key is already registered"))
