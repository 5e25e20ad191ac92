"""The versions of the database: each release that changes the tables brings a step from the one before.

A step is a file in `versions`, never changed once it was released. `upgrade` runs those that a database lacks.
"""

from __future__ import annotations

from pathlib import Path

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory

__all__ = ["VERSION_TABLE", "latest", "pending", "upgrade"]

VERSION_TABLE = "bridge_version"  # not alembic's usual name: the database may hold the tables of other programs too
_LOCK = 0x6D646272  # of PostgreSQL's advisory locks; any number that others are unlikely to choose


def pending(connection: sa.Connection) -> bool:
    """Tell whether a database lacks steps of this release.

    Raises:
        ValueError: the database is of a later release, or its tables are not a bridge's.
    """
    version = MigrationContext.configure(connection, opts={"version_table": VERSION_TABLE}).get_current_revision()
    if version is None:
        _refuse_foreign_tables(connection)
    elif version not in {step.revision for step in _steps().walk_revisions()}:
        raise ValueError(f"the database is of a later release of the bridge (version {version}); install that one")
    return version != latest()


def upgrade(connection: sa.Connection) -> None:
    """Bring a database to this release, in the transaction that `connection` is in.

    Of several processes that start at once, one does it and the others wait.

    Raises:
        ValueError: the database is of a later release, or its tables are not a bridge's.
    """
    if connection.dialect.name == "postgresql":  # SQLite's transactions lock the whole database anyway
        connection.exec_driver_sql("SET LOCAL lock_timeout = 0")  # a step may take long
        connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_LOCK)))
    if pending(connection):
        config = _config()
        config.attributes["connection"] = connection
        command.upgrade(config, "head")


def latest() -> str:
    """Return the version that this release's tables have."""
    return str(_steps().get_current_head())


def _refuse_foreign_tables(connection: sa.Connection) -> None:
    taken = {"users", "buckets", "entries"} & set(sa.inspect(connection).get_table_names())
    if taken:
        raise ValueError(f"the database has tables of something else: {', '.join(sorted(taken))}")


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    return config


def _steps() -> ScriptDirectory:
    return ScriptDirectory.from_config(_config())
