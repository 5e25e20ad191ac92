"""Signed requests are stored in one tree, in the order of their nonces, instead of two.

Before this step, each pair of nonce and signature was stored once, by its signature. The signature covers the nonce, so
both forms have the same pairs.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Change the tables."""
    op.rename_table("signatures", "old_signatures")
    op.drop_index("signatures_by_nonce", "old_signatures")
    if op.get_bind().dialect.name == "postgresql":
        op.execute("ALTER TABLE old_signatures RENAME CONSTRAINT signatures_pkey TO old_signatures_pkey")
    op.create_table(
        "signatures",
        sa.Column("subject", sa.String(254), primary_key=True),
        sa.Column("timed", sa.Boolean, primary_key=True),
        sa.Column("nonce", sa.Double, primary_key=True),
        sa.Column("signature", sa.String(64), primary_key=True),
        sa.Column("accepted", sa.BigInteger, nullable=False),
        sqlite_with_rowid=False,
    )
    columns = "subject, timed, nonce, signature, accepted"
    op.execute(f"INSERT INTO signatures ({columns}) SELECT {columns} FROM old_signatures ORDER BY {columns}")  # noqa: S608
    op.drop_table("old_signatures")
