"""Nonces are stored in one unit. Users and buckets have one floor for nonces that are times, and one for other nonces.

Before, nonces were compared as they were sent, and the floor was the highest deleted nonce. Nonces of a client that
counts in seconds are far below a floor in milliseconds, even those of the same day. So if the floor is in
milliseconds, every request that was signed before this step is refused as too old.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

# As in `store/nonces.py` when this step was written.
_SECOND, _MILLISECOND, _MICROSECOND, _NANOSECOND = (1e9, 1e11), (1e12, 1e14), (1e15, 1e17), (1e18, 1e20)
_UNITS = ((_SECOND, 1.0), (_MILLISECOND, 1e3), (_MICROSECOND, 1e6), (_NANOSECOND, 1e9))
_CLOCK = {
    "sqlite": "CAST((julianday('now') - 2440587.5) * 86400000.0 AS INTEGER)",
    "postgresql": "CAST(extract(epoch FROM clock_timestamp()) * 1000 AS BIGINT)",
}


def upgrade() -> None:
    """Change the tables."""
    now = sa.literal_column(_CLOCK[op.get_bind().dialect.name], sa.BigInteger)
    _signatures(now)
    _floors(now)


def _signatures(now: sa.ColumnElement[int]) -> None:
    op.rename_table("signatures", "old_signatures")
    op.drop_index("signatures_by_nonce", "old_signatures")
    if op.get_bind().dialect.name == "postgresql":
        op.execute("ALTER TABLE old_signatures RENAME CONSTRAINT signatures_pkey TO old_signatures_pkey")
    signatures = op.create_table(
        "signatures",
        sa.Column("subject", sa.String(254), primary_key=True),
        sa.Column("signature", sa.String(64), primary_key=True),
        sa.Column("timed", sa.Boolean, nullable=False),
        sa.Column("nonce", sa.Double, nullable=False),
        sa.Column("accepted", sa.BigInteger, nullable=False),
        sa.Index("signatures_by_nonce", "subject", "timed", "nonce"),
        sqlite_with_rowid=False,
    )
    old = sa.table("old_signatures", sa.column("subject"), sa.column("signature"), sa.column("nonce", sa.Double))
    # No nonces of buckets were stored, so requests for buckets must never be deleted.
    unknown = old.c.nonce == 0
    nonce = sa.case((unknown, sa.literal(float("inf"), sa.Double)), else_=_scaled(old.c.nonce))
    rows = sa.select(old.c.subject, old.c.signature, _timed(old.c.nonce), nonce, now)
    op.execute(signatures.insert().from_select(["subject", "signature", "timed", "nonce", "accepted"], rows))
    op.drop_table("old_signatures")


def _floors(now: sa.ColumnElement[int]) -> None:
    floors = op.create_table(
        "floors",
        sa.Column("subject", sa.String(254), primary_key=True),
        sa.Column("timed", sa.Boolean, primary_key=True),
        sa.Column("nonce", sa.Double, nullable=False),
    )
    users = sa.table("users", sa.column("email"), sa.column("floor", sa.Double))
    floor, columns = users.c.floor, ["subject", "timed", "nonce"]
    of_seconds = sa.and_(floor >= _SECOND[0], floor < _SECOND[1])
    scaled = _scaled(floor)
    later = sa.case((sa.or_(of_seconds, scaled > now), scaled), else_=sa.cast(now, sa.Double))
    times = sa.select(users.c.email, sa.true(), later).where(_timed(floor))
    op.execute(floors.insert().from_select(columns, times))
    # A nonce that is not a time was refused below any floor that is one. It still is: nobody knows which were accepted.
    highest = sa.case((_timed(floor), sa.literal(_SECOND[0], sa.Double)), else_=floor)
    numbers = sa.select(users.c.email, sa.false(), highest).where(floor.is_not(None))
    op.execute(floors.insert().from_select(columns, numbers))
    op.drop_column("users", "floor")


def _timed(nonce: sa.ColumnElement[float]) -> sa.ColumnElement[bool]:
    return sa.or_(*(sa.and_(nonce >= first, nonce < last) for (first, last), _ in _UNITS))


def _scaled(nonce: sa.ColumnElement[float]) -> sa.ColumnElement[float]:
    units = [(sa.and_(nonce >= first, nonce < last), nonce * 1000.0 / unit) for (first, last), unit in _UNITS]
    return sa.case(*units, else_=nonce)
