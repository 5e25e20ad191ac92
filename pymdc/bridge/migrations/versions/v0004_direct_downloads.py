"""The transfer of a pointer may be charged when it is given. Its token then opens a URL any number of times."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Change the tables."""
    op.add_column("channel_tokens", sa.Column("charged", sa.Boolean, nullable=False, server_default=sa.false()))
