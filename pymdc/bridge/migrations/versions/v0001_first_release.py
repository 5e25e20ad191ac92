"""The tables of the first release."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

_NUMBER = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    """Make the tables."""
    _accounts()
    _buckets_and_tokens()
    _files()


def _accounts() -> None:
    op.create_table(
        "users",
        sa.Column("email", sa.String(254), primary_key=True),
        sa.Column("password", sa.String(200), nullable=False),
        sa.Column("created", sa.BigInteger, nullable=False),
        sa.Column("activated", sa.Boolean, nullable=False),
        sa.Column("floor", sa.Double),
    )
    op.create_table(
        "activations",
        sa.Column("token", sa.String(64), primary_key=True),
        sa.Column("email", sa.String(254), _of("users.email"), nullable=False, index=True),
        sa.Column("mailed", sa.Boolean, nullable=False),
    )
    op.create_table(
        "registrations",
        sa.Column("number", _NUMBER, primary_key=True, autoincrement=True),
        sa.Column("address", sa.String(64), nullable=False, index=True),
        sa.Column("time", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "keys",
        sa.Column("number", _NUMBER, primary_key=True, autoincrement=True),
        sa.Column("point", sa.String(66), nullable=False, unique=True),
        sa.Column("text", sa.String(130), nullable=False),
        sa.Column("email", sa.String(254), _of("users.email"), nullable=False, index=True),
    )
    op.create_table(
        "signatures",
        sa.Column("subject", sa.String(254), primary_key=True),
        sa.Column("signature", sa.String(64), primary_key=True),
        sa.Column("nonce", sa.Double, nullable=False),
        sa.Index("signatures_by_nonce", "subject", "nonce"),
    )


def _buckets_and_tokens() -> None:
    op.create_table(
        "buckets",
        sa.Column("number", _NUMBER, primary_key=True, autoincrement=True),
        sa.Column("id", sa.String(24), nullable=False, unique=True),
        sa.Column("email", sa.String(254), _of("users.email"), nullable=False, index=True),
        sa.Column("name", sa.Text),
        sa.Column("storage", sa.Double, nullable=False),
        sa.Column("transfer", sa.Double, nullable=False),
        sa.Column("created", sa.BigInteger, nullable=False),
        sa.Column("stored", sa.BigInteger, nullable=False),
        sa.Column("sent", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "bucket_keys",
        sa.Column("bucket", sa.String(24), _of("buckets.id"), primary_key=True),
        sa.Column("position", sa.Integer, primary_key=True),
        sa.Column("text", sa.String(130), nullable=False),
        sa.Column("point", sa.String(66), nullable=False),
    )
    op.create_table(
        "tokens",
        sa.Column("token", sa.String(64), primary_key=True),
        sa.Column("bucket", sa.String(24), nullable=False),
        sa.Column("operation", sa.String(4), nullable=False),
        sa.Column("expires", sa.BigInteger, nullable=False, index=True),
        sa.Column("spent", sa.BigInteger),
    )
    op.create_table(
        "channel_tokens",
        sa.Column("token", sa.String(64), primary_key=True),
        sa.Column("bucket", sa.String(24), nullable=False),
        sa.Column("shard", sa.String(40), nullable=False),
        sa.Column("expires", sa.BigInteger, nullable=False, index=True),
        sa.Column("spent", sa.BigInteger),
    )


def _files() -> None:
    op.create_table(
        "contents",
        sa.Column("hash", sa.String(40), primary_key=True),
        sa.Column("size", sa.BigInteger, nullable=False),
        sa.Column("references", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "entries",
        sa.Column("number", _NUMBER, primary_key=True, autoincrement=True),
        sa.Column("bucket", sa.String(24), sa.ForeignKey("buckets.id"), nullable=False),
        sa.Column("content", sa.String(40), sa.ForeignKey("contents.hash"), nullable=False, index=True),
        sa.Column("filename", sa.Text, nullable=False),
        sa.Column("mimetype", sa.Text, nullable=False),
        sa.UniqueConstraint("bucket", "content"),
    )
    op.create_table(
        "shards",
        sa.Column("hash", sa.String(40), primary_key=True),
        sa.Column("size", sa.BigInteger, nullable=False),
        sa.Column("blob", sa.String(64), nullable=False, index=True),
        sa.Column("references", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "content_shards",
        sa.Column("content", sa.String(40), sa.ForeignKey("contents.hash"), primary_key=True),
        sa.Column("position", sa.Integer, primary_key=True),
        sa.Column("shard", sa.String(40), sa.ForeignKey("shards.hash"), nullable=False, index=True),
    )
    op.create_table(
        "uploads",
        sa.Column("id", sa.String(32), primary_key=True),
        sa.Column("touched", sa.BigInteger, nullable=False),
        sa.Column("dead", sa.Boolean, nullable=False),
    )
    op.create_table("garbage", sa.Column("blob", sa.String(64), primary_key=True))


def _of(column: str) -> sa.ForeignKey:
    return sa.ForeignKey(column, ondelete="CASCADE")
