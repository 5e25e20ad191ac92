"""Limits of accounts: how much one may store and how many buckets it may have, if the operator limits that."""

from __future__ import annotations

from dataclasses import dataclass

import sqlalchemy as sa

from ..errors import Refused
from ..settings import GIGABYTE
from .tables import buckets, users

__all__ = ["NO_LIMIT", "Allowance", "allow_bucket", "allow_bytes"]


@dataclass(frozen=True)
class Allowance:
    """The default limits of an account, used where the operator set none for it; `None` means no limit.

    Attributes:
        storage: how much all its buckets together may hold, in GB.
        buckets: how many buckets it may have.
    """

    storage: float | None = None
    buckets: int | None = None


NO_LIMIT = Allowance()

# Made once: to make a statement costs as much as to run it.
_OWNER = sa.select(users.c.email, users.c.storage_limit).join(buckets).where(buckets.c.id == sa.bindparam("given"))


def allow_bucket(connection: sa.Connection, email: str, allowance: Allowance) -> None:
    """Check that an account may have one more bucket.

    Raises:
        Refused: it has as many as it may have.
    """
    # The row is locked, so that two requests at once do not both make the last one.
    own = sa.select(users.c.bucket_limit).where(users.c.email == email).with_for_update()
    limit = connection.execute(own).scalar()
    limit = allowance.buckets if limit is None else limit
    if limit is None:
        return
    mine = sa.select(sa.func.count()).select_from(buckets).where(buckets.c.email == email)
    if connection.execute(mine).scalar_one() >= limit:
        raise Refused(403, f"The account may have no more than {limit} buckets")


def allow_bytes(connection: sa.Connection, bucket: str, size: float, allowance: Allowance) -> None:
    """Check that the account of a bucket may store so many more bytes. Call this before the bucket is locked.

    Raises:
        Refused: all its buckets together would hold more than they may.
    """
    row = connection.execute(_OWNER, {"given": bucket}).first()
    if row is None:
        return  # the bucket is gone; the caller will notice that itself
    limit = allowance.storage if row.storage_limit is None else row.storage_limit
    if limit is None:
        return
    # Two uploads into two buckets of one account wait for each other here, so each counts what the other has stored.
    connection.execute(sa.select(users.c.email).where(users.c.email == row.email).with_for_update())
    stored = sa.select(sa.func.coalesce(sa.func.sum(buckets.c.stored), 0)).where(buckets.c.email == row.email)
    if int(connection.execute(stored).scalar_one()) + size > limit * GIGABYTE:
        raise Refused(403, f"The account may store no more than {limit:g} GB")
