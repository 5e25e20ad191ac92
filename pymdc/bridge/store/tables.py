"""The tables of the database in this release. The steps in `migrations` create them.

Times are milliseconds since 1970.
"""

from __future__ import annotations

import hashlib
import json

import sqlalchemy as sa

__all__ = [
    "activations", "bridge", "bucket_keys", "buckets", "channel_tokens", "content_shards", "contents",
    "deleted_buckets", "entries", "floors", "garbage", "keys", "metadata", "registrations", "shards",
    "signatures", "token_hash", "tokens", "uploads", "users",
]  # fmt: skip

_NUMBER = sa.BigInteger().with_variant(sa.Integer, "sqlite")  # SQLite counts up only a column of this type


class AnyText(sa.TypeDecorator[str]):
    """Text with any characters. PostgreSQL cannot store NUL, so the text is stored as an ASCII JSON string."""

    impl = sa.Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: sa.Dialect) -> str | None:
        return None if value is None else json.dumps(value)

    def process_result_value(self, value: str | None, dialect: sa.Dialect) -> str | None:
        return None if value is None else str(json.loads(value))


metadata = sa.MetaData()

users = sa.Table(
    "users",
    metadata,
    sa.Column("email", sa.String(254), primary_key=True),
    sa.Column("password", sa.String(200), nullable=False),
    sa.Column("created", sa.BigInteger, nullable=False),
    sa.Column("activated", sa.Boolean, nullable=False),
    # Set by the operator. A disabled account does not count as activated.
    sa.Column("disabled", sa.Boolean, nullable=False, server_default=sa.false()),
    sa.Column("storage_limit", sa.Double),  # in GB; NULL: as the settings say
    sa.Column("bucket_limit", sa.Integer),
)
activations = sa.Table(
    "activations",
    metadata,
    sa.Column("token", sa.String(64), primary_key=True),  # its hash
    sa.Column("email", sa.ForeignKey("users.email", ondelete="CASCADE"), nullable=False, index=True),
    sa.Column("mailed", sa.Boolean, nullable=False),  # whether the mail was sent
)
# Recent requests for mails, to limit them.
registrations = sa.Table(
    "registrations",
    metadata,
    sa.Column("number", _NUMBER, primary_key=True, autoincrement=True),
    sa.Column("address", sa.String(64), nullable=False, index=True),
    sa.Column("time", sa.BigInteger, nullable=False),
)
keys = sa.Table(
    "keys",
    metadata,
    sa.Column("number", _NUMBER, primary_key=True, autoincrement=True),
    sa.Column("point", sa.String(66), nullable=False, unique=True),
    sa.Column("text", sa.String(130), nullable=False),
    sa.Column("email", sa.ForeignKey("users.email", ondelete="CASCADE"), nullable=False, index=True),
)
# The latest signed requests that were accepted from a user, or for a token of a bucket, by the hash of the signature:
# see `nonces.py`.
signatures = sa.Table(
    "signatures",
    metadata,
    sa.Column("subject", sa.String(254), primary_key=True),
    sa.Column("timed", sa.Boolean, primary_key=True),  # whether the nonce is a time
    sa.Column("nonce", sa.Double, primary_key=True),
    sa.Column("signature", sa.String(64), primary_key=True),
    sa.Column("accepted", sa.BigInteger, nullable=False),
    # One tree, which grows at its end because nonces grow: a commit then writes few pages to the disk.
    sqlite_with_rowid=False,
)
floors = sa.Table(
    "floors",
    metadata,
    sa.Column("subject", sa.String(254), primary_key=True),
    sa.Column("timed", sa.Boolean, primary_key=True),
    sa.Column("nonce", sa.Double, nullable=False),  # nonces up to this one were deleted, so they are refused
)
buckets = sa.Table(
    "buckets",
    metadata,
    sa.Column("number", _NUMBER, primary_key=True, autoincrement=True),
    sa.Column("id", sa.String(24), nullable=False, unique=True),
    sa.Column("email", sa.ForeignKey("users.email", ondelete="CASCADE"), nullable=False, index=True),
    sa.Column("name", AnyText),
    sa.Column("storage", sa.Double, nullable=False),
    sa.Column("transfer", sa.Double, nullable=False),
    sa.Column("created", sa.BigInteger, nullable=False),
    sa.Column("stored", sa.BigInteger, nullable=False),  # bytes that its files hold
    sa.Column("sent", sa.BigInteger, nullable=False),  # bytes that were downloaded from it
    sa.Index("buckets_by_number", "email", "number"),
)
# Deleted buckets. A clean-up removes their entries, some at a time.
deleted_buckets = sa.Table("deleted_buckets", metadata, sa.Column("bucket", sa.String(24), primary_key=True))
bucket_keys = sa.Table(
    "bucket_keys",
    metadata,
    sa.Column("bucket", sa.ForeignKey("buckets.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("position", sa.Integer, primary_key=True),
    sa.Column("text", sa.String(130), nullable=False),
    sa.Column("point", sa.String(66), nullable=False),
)
# Tokens outlive their bucket, so that the token of a deleted bucket is refused with "Bucket not found".
tokens = sa.Table(
    "tokens",
    metadata,
    sa.Column("token", sa.String(64), primary_key=True),  # its hash
    sa.Column("bucket", sa.String(24), nullable=False),
    sa.Column("operation", sa.String(4), nullable=False),
    sa.Column("expires", sa.BigInteger, nullable=False, index=True),
    sa.Column("spent", sa.BigInteger),
)
channel_tokens = sa.Table(
    "channel_tokens",
    metadata,
    sa.Column("token", sa.String(64), primary_key=True),  # its hash
    sa.Column("bucket", sa.String(24), nullable=False),
    sa.Column("shard", sa.String(40), nullable=False),
    sa.Column("expires", sa.BigInteger, nullable=False, index=True),
    sa.Column("spent", sa.BigInteger),
    # Whether the transfer was charged when the token was made: then it opens a URL too, until it expires.
    sa.Column("charged", sa.Boolean, nullable=False, server_default=sa.false()),
)
# An entry names a content, a content consists of shards, and a shard is a blob in the store. Contents and shards are
# stored once, with a count of references, and are removed when it is 0.
entries = sa.Table(
    "entries",
    metadata,
    sa.Column("number", _NUMBER, primary_key=True, autoincrement=True),
    sa.Column("bucket", sa.String(24), nullable=False),  # of `buckets`, or of `deleted_buckets`
    sa.Column("content", sa.ForeignKey("contents.hash"), nullable=False, index=True),
    sa.Column("filename", AnyText, nullable=False),
    sa.Column("mimetype", AnyText, nullable=False),
    sa.UniqueConstraint("bucket", "content"),
    sa.Index("entries_by_number", "bucket", "number"),
)
contents = sa.Table(
    "contents",
    metadata,
    sa.Column("hash", sa.String(40), primary_key=True),
    sa.Column("size", sa.BigInteger, nullable=False),
    sa.Column("references", sa.BigInteger, nullable=False),  # entries
)
content_shards = sa.Table(
    "content_shards",
    metadata,
    sa.Column("content", sa.ForeignKey("contents.hash"), primary_key=True),
    sa.Column("position", sa.Integer, primary_key=True),
    sa.Column("shard", sa.ForeignKey("shards.hash"), nullable=False, index=True),
)
shards = sa.Table(
    "shards",
    metadata,
    sa.Column("hash", sa.String(40), primary_key=True),
    sa.Column("size", sa.BigInteger, nullable=False),
    sa.Column("blob", sa.String(64), nullable=False, index=True),
    sa.Column("references", sa.BigInteger, nullable=False),  # contents
    sa.Column(
        "suspect", sa.Boolean, nullable=False, server_default=sa.false()
    ),  # whether its blob is missing or damaged
)
# Blobs without a shard: those of running uploads, and garbage, which a clean-up removes.
uploads = sa.Table(
    "uploads",
    metadata,
    sa.Column("id", sa.String(32), primary_key=True),  # the first part of the names of its blobs
    sa.Column("touched", sa.BigInteger, nullable=False),  # when it was last alive
    sa.Column("dead", sa.Boolean, nullable=False),
)
garbage = sa.Table("garbage", metadata, sa.Column("blob", sa.String(64), primary_key=True))
# One row, about this database itself.
bridge = sa.Table(
    "bridge",
    metadata,
    sa.Column("identity", sa.String(32), primary_key=True),  # its store has the same one
    sa.Column("held", sa.BigInteger, nullable=False),  # until this time no blob is removed: it is being copied
)


def token_hash(token: str) -> str:
    """Return the hash under which a token is stored. Tokens are random, so a plain hash cannot be reversed."""
    return hashlib.sha256(token.encode("utf-8", "replace")).hexdigest()
