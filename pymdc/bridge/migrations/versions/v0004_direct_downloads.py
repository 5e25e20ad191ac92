"""A pointer may be paid for when it is given: its token then opens a URL as often as is asked until it expires."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Change the tables."""
    op.add_column("channel_tokens", sa.Column("charged", sa.Boolean, nullable=False, server_default=sa.false()))
