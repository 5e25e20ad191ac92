"""Accounts, for the operator: list, change and remove them."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from .buckets import delete_buckets
from .database import Database
from .nonces import forget_all
from .tables import activations, buckets, floors, keys, token_hash, users

__all__ = ["Account", "Accounts"]

_STATE = sa.case((users.c.disabled, "disabled"), (users.c.activated, "activated"), else_="waiting")
_KEYS = sa.select(sa.func.count()).where(keys.c.email == users.c.email).scalar_subquery()
_STORED = sa.cast(sa.func.coalesce(sa.func.sum(buckets.c.stored), 0), sa.BigInteger)
_COLUMNS = (users.c.email, users.c.created, _STATE, _KEYS, sa.func.count(buckets.c.id), _STORED)
_ACCOUNTS = (
    sa.select(*_COLUMNS, users.c.storage_limit, users.c.bucket_limit)
    .select_from(users.outerjoin(buckets))
    .group_by(users.c.email)
    .order_by(users.c.created, users.c.email)
)

_AT_ONCE = 500  # buckets and signatures that one step removes: some milliseconds
_PAUSE_SECONDS = 0.01  # the pause between two steps, so that others can write


@dataclass(frozen=True)
class Account:
    """A user, how many keys and buckets there are, and how many bytes the buckets hold.

    Attributes:
        state: `"activated"`, `"waiting"` for its activation, or `"disabled"` by the operator.
        storage_limit, bucket_limit: the limits that the operator has set for this account, in GB and in buckets;
            `None` means the limits in the settings of the bridge.
    """

    email: str
    created: int
    state: str
    keys: int
    buckets: int
    stored: int
    storage_limit: float | None = None
    bucket_limit: int | None = None


class Accounts:
    """The accounts in the database, for the operator. Every method may raise `Unavailable`.

    Methods that change an account tell whether there is one.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def all(self) -> Sequence[Account]:
        """Return every account, oldest first."""
        with self._database.read() as connection:
            return [Account(*row) for row in connection.execute(_ACCOUNTS)]

    def get(self, email: str) -> Account | None:
        """Return an account, or `None`."""
        with self._database.read() as connection:
            row = connection.execute(_ACCOUNTS.where(users.c.email == email)).one_or_none()
        return None if row is None else Account(*row)

    def keys_of(self, email: str) -> Sequence[str]:
        """Return the public keys of an account as they were given, oldest first."""
        mine = sa.select(keys.c.text).where(keys.c.email == email).order_by(keys.c.number)
        with self._database.read() as connection:
            return connection.execute(mine).scalars().all()

    def with_key(self, point: str) -> str | None:
        """Return the e-mail of the account that holds a public key, or `None`.

        Arguments:
            point: the key in its compressed form.
        """
        with self._database.read() as connection:
            return connection.execute(sa.select(keys.c.email).where(keys.c.point == point)).scalar()

    def activate(self, email: str) -> bool:
        """Activate an account that waits for its activation, or enable one that was disabled."""
        with self._database.write() as connection:
            connection.execute(activations.delete().where(activations.c.email == email))
            return _change(connection, email, activated=True, disabled=False)

    def disable(self, email: str) -> bool:
        """Disable an account: all its credentials are refused. Its buckets and files stay."""
        with self._database.write() as connection:
            connection.execute(activations.delete().where(activations.c.email == email))
            return _change(connection, email, activated=False, disabled=True)

    def set_password(self, email: str, hashed: str) -> bool:
        """Give an account another password: `hashed` is what `Passwords.hash` returned for it."""
        with self._database.write() as connection:
            return _change(connection, email, password=hashed)

    def limit(self, email: str, storage: float | None, buckets: int | None) -> bool:
        """Set how much an account may store, in GB, and how many buckets it may have. `None`: as the settings say."""
        with self._database.write() as connection:
            return _change(connection, email, storage_limit=storage, bucket_limit=buckets)

    def renew_activation(self, email: str, token: str, *, keep: bool = False) -> bool:
        """Give an account that waits for its activation another token.

        Arguments:
            keep: whether the earlier tokens still work.
        """
        waiting = sa.select(users.c.email).where(
            users.c.email == email, users.c.activated.is_(False), users.c.disabled.is_(False)
        )
        with self._database.write() as connection:
            mine = activations.c.email.in_(waiting)
            # The earlier ones count as mailed, or a clean-up would remove the account if the first mail was never sent.
            connection.execute(
                activations.update().where(mine).values(mailed=True) if keep else activations.delete().where(mine)
            )
            if connection.execute(waiting).first() is None:
                return False
            row = {"token": token_hash(token), "email": email, "mailed": True}
            connection.execute(activations.insert().values(row))
        return True

    def expire(self, before: int) -> None:
        """Remove the accounts that were registered before a time, in ms since 1970, and never activated."""
        waiting = users.c.activated.is_(False), users.c.disabled.is_(False), users.c.created < before
        with self._database.write() as connection:
            connection.execute(users.delete().where(*waiting, ~sa.exists().where(buckets.c.email == users.c.email)))

    def remove(self, email: str) -> bool:
        """Remove an account with its keys, buckets and files. Tell whether there is such an account.

        First it is disabled, so that nobody adds anything. Then its parts are removed in small steps. If this is
        interrupted, call it again. A clean-up removes the files later, see `Leftovers`.
        """
        with self._database.write() as connection:
            change = users.update().where(users.c.email == email).values(activated=False)
            found = bool(connection.execute(change).rowcount)
            connection.execute(activations.delete().where(activations.c.email == email))
        while self._remove_some(email):
            time.sleep(_PAUSE_SECONDS)
        with self._database.write() as connection:
            # A request that began before the account was disabled may just be making a bucket.
            connection.execute(sa.select(users.c.email).where(users.c.email == email).with_for_update())
            delete_buckets(connection, _some_buckets(connection, email, None))
            connection.execute(floors.delete().where(floors.c.subject == email))
            connection.execute(users.delete().where(users.c.email == email))
        return found

    def _remove_some(self, email: str) -> bool:
        with self._database.write() as connection:
            names = _some_buckets(connection, email, _AT_ONCE)
            delete_buckets(connection, names)
            return bool(names) + forget_all(connection, email, _AT_ONCE) > 0


def _some_buckets(connection: sa.Connection, email: str, limit: int | None) -> Sequence[str]:
    return connection.execute(sa.select(buckets.c.id).where(buckets.c.email == email).limit(limit)).scalars().all()


def _change(connection: sa.Connection, email: str, **values: Any) -> bool:
    return bool(connection.execute(users.update().where(users.c.email == email).values(values)).rowcount)
