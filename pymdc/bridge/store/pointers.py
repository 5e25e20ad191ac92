"""Pointers: where the shards of a file are, and the channel tokens that open them."""

from __future__ import annotations

import secrets
from collections.abc import Sequence

import sqlalchemy as sa

from ..errors import Refused
from ..settings import CHANNEL_TOKEN_SECONDS, GIGABYTE
from .contents import Shard
from .database import Database
from .tables import buckets, channel_tokens, content_shards, contents, entries, shards, token_hash
from .tokens import spend_token

__all__ = ["Pointers"]

_TRANSFER_USED = "The transfer limit of the bucket is exceeded"

# Each shard that goes out by channel takes these three. To make them costs as much as to run them.
_SPEND = (
    channel_tokens.update()
    .where(
        channel_tokens.c.token == sa.bindparam("given"),
        channel_tokens.c.spent.is_(None),
        channel_tokens.c.expires > sa.bindparam("now"),
    )
    .values(spent=sa.bindparam("now"))
    .returning(channel_tokens.c.bucket, channel_tokens.c.shard, channel_tokens.c.charged)
)
_SHARD = shards.select().where(shards.c.hash == sa.bindparam("given"))
_SENT = buckets.c.sent + sa.bindparam("more", type_=sa.BigInteger)
_CHARGE = (
    buckets.update()
    .where(buckets.c.id == sa.bindparam("given"), _SENT / float(GIGABYTE) <= buckets.c.transfer)
    .values(sent=_SENT)
)


class Pointers:
    """The channel tokens in the database. Every method may raise `Unavailable`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def create(self, token: str, bucket: str, content: str, now: int, direct: bool = False) -> list[tuple[Shard, str]]:
        """Spend a token on the shards of a file: return them in order, each with a channel token.

        Arguments:
            direct: charge the bucket's transfer at once, so that the channel tokens open URLs too.

        Raises:
            Refused: the token has been spent, the file is unknown, or the bucket's transfer is used up.
        """
        with self._database.write() as connection:
            spend_token(connection, token, now)
        with self._database.write() as connection:
            found = _shards_to_send(connection, bucket, content)
            if direct:
                _charge(connection, bucket, sum(shard.size for shard in found))
            pointers = [(shard, secrets.token_hex(20)) for shard in found]
            _add_channel_tokens(connection, bucket, pointers, now, direct)
        return pointers

    def open_url(self, token: str, shard: str, now: int) -> Shard:
        """Return the shard of a channel token that was charged for a URL. The token is not spent.

        Raises:
            Refused: the token is not valid, or not for this shard, or its bucket or the shard is gone.
        """
        query = (
            sa.select(shards)
            .join(channel_tokens, channel_tokens.c.shard == shards.c.hash)
            .join(buckets, buckets.c.id == channel_tokens.c.bucket)
            .where(channel_tokens.c.token == token_hash(token), channel_tokens.c.charged, shards.c.hash == shard)
            .where(channel_tokens.c.expires > now)
        )
        with self._database.read() as connection:
            row = connection.execute(query).one_or_none()
        if row is None:
            raise Refused(404, "The requested shard was not found")
        return Shard(row.hash, row.size, row.blob)

    def open_channel(self, token: str, shard: str, now: int) -> Shard:
        """Spend a channel token on its shard.

        Raises:
            Refused: the token is not valid, or not for this shard, or the bucket's transfer is used up.
        """
        with self._database.write() as connection:
            # A refusal rolls this back: the token is then not spent.
            bound = connection.execute(_SPEND, {"given": token_hash(token), "now": now}).one_or_none()
            if bound is None:
                raise Refused(400, "The supplied token is not accepted")
            if bound.shard != shard:
                raise Refused(400, "Token not valid for hash")
            row = connection.execute(_SHARD, {"given": shard}).one_or_none()
            if row is None:
                raise Refused(404, "The requested shard was not found")
            if not bound.charged:
                _charge(connection, bound.bucket, row.size)
            return Shard(row.hash, row.size, row.blob)


def _shards_to_send(connection: sa.Connection, bucket: str, content: str) -> Sequence[Shard]:
    query = sa.select(contents.c.size, buckets.c.sent, buckets.c.transfer).select_from(
        entries.join(contents).join(buckets, buckets.c.id == entries.c.bucket)
    )
    row = connection.execute(query.where(entries.c.bucket == bucket, entries.c.content == content)).one_or_none()
    if row is None:
        raise Refused(404, "The requested file was not found")
    if row.sent + row.size > row.transfer * GIGABYTE:
        raise Refused(403, _TRANSFER_USED)
    made_of = sa.select(shards).join(content_shards, content_shards.c.shard == shards.c.hash)
    in_order = made_of.where(content_shards.c.content == content).order_by(content_shards.c.position)
    return [Shard(row.hash, row.size, row.blob) for row in connection.execute(in_order)]


def _add_channel_tokens(
    connection: sa.Connection, bucket: str, pointers: Sequence[tuple[Shard, str]], now: int, charged: bool
) -> None:
    of_all = {"bucket": bucket, "expires": now + CHANNEL_TOKEN_SECONDS * 1000, "charged": charged}
    rows = [{"token": token_hash(token), "shard": shard.hash, **of_all} for shard, token in pointers]
    if rows:
        connection.execute(channel_tokens.insert(), rows)


def _charge(connection: sa.Connection, bucket: str, size: int) -> None:
    if connection.execute(_CHARGE, {"given": bucket, "more": size}).rowcount:
        return
    if connection.execute(sa.select(buckets.c.id).where(buckets.c.id == bucket)).one_or_none() is None:
        raise Refused(404, "The requested shard was not found")
    raise Refused(403, _TRANSFER_USED)
