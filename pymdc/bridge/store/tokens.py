"""The tokens that open a bucket for one transfer. Only their hashes are stored."""

from __future__ import annotations

import sqlalchemy as sa

from ..errors import Refused
from ..settings import TOKEN_SECONDS
from .buckets import Bucket, load_bucket
from .database import Database
from .nonces import Nonce, forget, remember, to_forget_for
from .tables import token_hash, tokens

__all__ = ["Tokens", "spend_token"]

# Made once: to make a statement costs as much as to run it.
_UNSPENT = sa.and_(
    tokens.c.token == sa.bindparam("given"), tokens.c.spent.is_(None), tokens.c.expires > sa.bindparam("now")
)
_FIND = tokens.select().where(_UNSPENT)
_SPEND = tokens.update().where(_UNSPENT).values(spent=sa.bindparam("now"))


class Tokens:
    """The bucket tokens in the database. Every method may raise `Unavailable`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def create(self, token: str, bucket: str, operation: str, request: tuple[Nonce, str] | None, now: int) -> int:
        """Store a new token and return when it expires.

        Arguments:
            request: the nonce and the hash of the signature of the request for it. Such a request works once. The hash
                is needed because a key in the bucket's list may ask without a nonce.

        Raises:
            Replayed: the request was accepted before.
            Stale: the request is so old that it may have been accepted before.
        """
        expires = now + TOKEN_SECONDS * 1000
        row = {"token": token_hash(token), "bucket": bucket, "operation": operation, "expires": expires}
        with self._database.write() as connection:
            if request is not None:
                remember(connection, bucket, *request)
                for subject in to_forget_for([bucket]):
                    forget(connection, subject)
            connection.execute(tokens.insert().values(row))
        return expires

    def check(self, token: str, bucket: str, operation: str, now: int) -> Bucket:
        """Return the bucket that a token opens for `operation`. The token is not spent.

        Raises:
            Refused: the token is not valid, there is no such bucket, or the token is for something else.
        """
        with self._database.read() as connection:
            row = connection.execute(_FIND, {"given": token_hash(token), "now": now}).one_or_none()
            if row is None:
                raise Refused(401, "Invalid or expired token")
            found = load_bucket(connection, bucket, None)
        if (row.bucket, row.operation) != (found.id, operation):
            verb = "store in" if operation == "PUSH" else "retrieve from"
            raise Refused(401, f"Not authorized to {verb} bucket")
        return found


def spend_token(connection: sa.Connection, token: str, now: int) -> None:
    """Spend a token. If several requests try at once, one succeeds.

    Raises:
        Refused: it is spent, or expired.
    """
    if not connection.execute(_SPEND, {"given": token_hash(token), "now": now}).rowcount:
        raise Refused(401, "Invalid or expired token")
