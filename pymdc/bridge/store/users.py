"""Accounts: users, their activation, their keys, and the signed requests that were accepted from them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy import exc

from ..errors import Refused
from ..fields import Key
from ..settings import MAIL_LEASE_SECONDS, NONCE_SLACK, NONCES
from .database import Database, insert_unique
from .tables import activations, keys, signatures, token_hash, users

__all__ = ["Replayed", "User", "Users"]

_TAKEN = "Public key is already registered"

# What every signed request asks: made once, since making a statement costs more than most of them take to run.
_EMAIL: sa.BindParameter[str] = sa.bindparam("email")
_WITH_KEY = sa.select(users, keys.c.text).join(keys).where(keys.c.point == sa.bindparam("point"))
_REMEMBER = signatures.insert()
_FLOOR = sa.select(users.c.floor).where(users.c.email == _EMAIL)
_MINE = sa.select(signatures.c.nonce).where(signatures.c.subject == _EMAIL).order_by(signatures.c.nonce.desc())
_FORGOTTEN = _MINE.offset(NONCES).limit(1)
_FORGET = signatures.delete().where(signatures.c.subject == _EMAIL, signatures.c.nonce <= sa.bindparam("forgotten"))


@dataclass(frozen=True)
class User:
    """A user, with the key that a request was signed with, as its owner wrote it."""

    email: str
    created: int
    activated: bool
    key: Key | None = None


class Replayed(Refused):
    """This very request was accepted before."""

    def __init__(self) -> None:
        super().__init__(401, "Invalid nonce supplied")


class Users:
    """What the database knows of accounts. Every method may raise `Unavailable`."""

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
            insert_unique(connection, users.insert().values(row), "Email is already registered")
            connection.execute(activations.insert().values(token=token_hash(token), email=email, mailed=False))
            if key is not None:
                _insert_key(connection, email, key)
        return User(email, now, activated=False)

    def mailed(self, email: str) -> None:
        """Note that the activation mail of a new user has been sent."""
        with self._database.write() as connection:
            connection.execute(activations.update().where(activations.c.email == email).values(mailed=True))

    def unregister(self, email: str) -> None:
        """Forget a new user whose activation mail could not be sent, so that the e-mail can be registered again."""
        with self._database.write() as connection:
            connection.execute(users.delete().where(users.c.email == email, users.c.activated.is_(False)))

    def sweep(self, now: int) -> None:
        """Forget new users whose mail was never sent, since the process that was to send it died."""
        unmailed = sa.select(activations.c.email).where(activations.c.mailed.is_(False))
        old = users.c.created < now - MAIL_LEASE_SECONDS * 1000
        with self._database.write() as connection:
            connection.execute(users.delete().where(users.c.email.in_(unmailed), old))

    def activate(self, token: str) -> User:
        """Activate the user whom an activation token was mailed to. It serves once.

        Raises:
            Refused: there is no such token.
        """
        with self._database.write() as connection:
            spent = activations.delete().where(activations.c.token == token_hash(token)).returning(activations.c.email)
            email = connection.execute(spent).scalar()
            if email is None:
                raise Refused(400, "Invalid activation token")
            change = users.update().where(users.c.email == email).values(activated=True)
            row = connection.execute(change.returning(users.c.created)).one()
        return User(email, row.created, activated=True)

    def with_password(self, email: str) -> tuple[User, str] | None:
        """Return a user and what is kept of the password, or `None`."""
        with self._database.read() as connection:
            row = connection.execute(users.select().where(users.c.email == email)).one_or_none()
        return None if row is None else (User(row.email, row.created, row.activated), row.password)

    def with_key(self, point: str) -> User | None:
        """Return the user who registered a key, or `None`."""
        with self._database.read() as connection:
            row = connection.execute(_WITH_KEY, {"point": point}).one_or_none()
        return None if row is None else User(row.email, row.created, row.activated, (row.text, point))

    def accept(self, email: str, nonce: float, signature: str, now: int) -> None:
        """Remember a signed request of a user.

        The latest `NONCES` are remembered, by nonce. A pair of nonce and signature is never accepted twice: it is
        either remembered, or not above what was forgotten. Requests that overtake each other, clients that count in
        seconds, and nonces that repeat, pass.

        Raises:
            Replayed: the request was accepted before.
            Refused: the nonce is below all that are remembered.
        """
        row = {"subject": email, "signature": signature, "nonce": nonce}
        with self._database.write() as connection:
            try:
                connection.execute(_REMEMBER, row)
            except exc.IntegrityError as error:
                raise Replayed from error
            # The floor is read after the insert: the insert waits for whoever is just forgetting the same request.
            floor = connection.execute(_FLOOR, {"email": email}).scalar()
            if floor is not None and nonce <= floor:
                raise Refused(401, "Invalid nonce supplied")
            _forget(connection, email, min(nonce, now) - NONCE_SLACK if floor is None else None)

    def list_keys(self, email: str) -> Sequence[str]:
        """Return the keys of a user, as they were given, oldest first."""
        query = sa.select(keys.c.text).where(keys.c.email == email).order_by(keys.c.number)
        with self._database.read() as connection:
            return connection.execute(query).scalars().all()

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
    insert_unique(connection, keys.insert().values(email=email, text=key[0], point=key[1]), _TAKEN)


def _forget(connection: sa.Connection, email: str, floor: float | None) -> None:
    forgotten = connection.execute(_FORGOTTEN, {"email": email}).scalar()
    if forgotten is not None:
        connection.execute(_FORGET, {"email": email, "forgotten": forgotten})
        floor = forgotten
    if floor is not None:
        connection.execute(users.update().where(users.c.email == email).values(floor=floor))
