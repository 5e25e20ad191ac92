"""An operator can disable an account, and limit its storage and its number of buckets."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Change the tables."""
    op.add_column("users", sa.Column("disabled", sa.Boolean, nullable=False, server_default=sa.false()))
    op.add_column("users", sa.Column("storage_limit", sa.Double))
    op.add_column("users", sa.Column("bucket_limit", sa.Integer))
