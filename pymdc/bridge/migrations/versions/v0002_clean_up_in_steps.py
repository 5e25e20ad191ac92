"""Buckets are emptied in small steps, damaged shards are marked, and the database knows whose store it uses."""

from __future__ import annotations

import secrets

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

_NUMBER = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    """Change the tables."""
    _let_entries_outlive_their_bucket()
    op.create_index("buckets_by_number", "buckets", ["email", "number"])
    op.create_table("deleted_buckets", sa.Column("bucket", sa.String(24), primary_key=True))
    op.add_column("shards", sa.Column("suspect", sa.Boolean, nullable=False, server_default=sa.false()))
    bridge = op.create_table(
        "bridge",
        sa.Column("identity", sa.String(32), primary_key=True),
        sa.Column("held", sa.BigInteger, nullable=False),
    )
    op.bulk_insert(bridge, [{"identity": secrets.token_hex(16), "held": 0}])


def _let_entries_outlive_their_bucket() -> None:
    # SQLite cannot drop a constraint, so there the table is made anew.
    if op.get_bind().dialect.name == "sqlite":
        op.create_table(
            "new_entries",
            sa.Column("number", _NUMBER, primary_key=True, autoincrement=True),
            sa.Column("bucket", sa.String(24), nullable=False),
            sa.Column("content", sa.String(40), sa.ForeignKey("contents.hash"), nullable=False),
            sa.Column("filename", sa.Text, nullable=False),
            sa.Column("mimetype", sa.Text, nullable=False),
            sa.UniqueConstraint("bucket", "content"),
        )
        op.execute("INSERT INTO new_entries SELECT number, bucket, content, filename, mimetype FROM entries")
        op.drop_table("entries")
        op.rename_table("new_entries", "entries")
        op.create_index("ix_entries_content", "entries", ["content"])
    else:
        op.drop_constraint("entries_bucket_fkey", "entries")
    op.create_index("entries_by_number", "entries", ["bucket", "number"])
