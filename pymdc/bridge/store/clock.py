"""The database's clock. Bridges on several machines share it, so a wrong clock on one machine does no harm."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.compiler import compiles

__all__ = ["ON_POSTGRESQL", "ON_SQLITE", "database_time"]

ON_SQLITE = "CAST((julianday('now') - 2440587.5) * 86400000.0 AS INTEGER)"
ON_POSTGRESQL = "CAST(extract(epoch FROM clock_timestamp()) * 1000 AS BIGINT)"


class database_time(sa.sql.functions.FunctionElement[int]):  # noqa: N801 -- it is used as an SQL function is
    """The time at the database, in milliseconds since 1970, when the statement runs."""

    type = sa.BigInteger()
    inherit_cache = True


@compiles(database_time, "sqlite")
def _on_sqlite(element: database_time, compiler: Any, **options: Any) -> str:
    return ON_SQLITE


@compiles(database_time, "postgresql")
def _on_postgresql(element: database_time, compiler: Any, **options: Any) -> str:
    return ON_POSTGRESQL
