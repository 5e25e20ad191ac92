"""The database's clock. Bridges on several machines share it, so that a wrong clock of one does no harm."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.compiler import compiles

__all__ = ["database_time"]


class database_time(sa.sql.functions.FunctionElement[int]):  # noqa: N801 -- it is used as an SQL function is
    """The time at the database, in milliseconds since 1970, when the statement runs."""

    type = sa.BigInteger()
    inherit_cache = True


@compiles(database_time, "sqlite")
def _on_sqlite(element: database_time, compiler: Any, **options: Any) -> str:
    return "CAST((julianday('now') - 2440587.5) * 86400000.0 AS INTEGER)"


@compiles(database_time, "postgresql")
def _on_postgresql(element: database_time, compiler: Any, **options: Any) -> str:
    return "CAST(extract(epoch FROM clock_timestamp()) * 1000 AS BIGINT)"
