"""The versions of the database: each release that changes the tables brings a step from the one before.

A step is a file in `versions`, never changed once it was released. `upgrade` runs those that a database lacks.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory

__all__ = ["VERSION_TABLE", "is_current", "latest", "lock", "pending", "upgrade"]

VERSION_TABLE = "bridge_version"  # not alembic's usual name: the database may hold the tables of other programs too
_LOCK = 0x6D646272  # of PostgreSQL's advisory locks; any number that others are unlikely to choose


def is_current(connection: sa.Connection) -> bool:
    """Tell whether a database has the tables of this release.

    This needs no lock. If the answer is no, ask again under the lock of `upgrade`: another process may be upgrading.
    """
    return _version(connection) == latest()


def upgrade(connection: sa.Connection) -> None:
    """Bring a database to this release, in the transaction that `connection` is in.

    If several processes start at once, one upgrades and the others wait.

    Raises:
        ValueError: the database is of a later release, or its tables are not a bridge's.
    """
    lock(connection)
    if pending(connection):
        config = _config()
        config.attributes["connection"] = connection
        command.upgrade(config, "head")


def lock(connection: sa.Connection) -> None:
    """Wait until no other process changes the tables, and keep others from it until the transaction ends."""
    if connection.dialect.name == "postgresql":  # SQLite's transactions lock the whole database anyway
        connection.exec_driver_sql("SET LOCAL lock_timeout = 0")  # a step may take long
        connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_LOCK)))


def pending(connection: sa.Connection) -> Sequence[str]:
    """Return the steps that a database lacks, first ones first, a line each.

    Under the lock of `upgrade`, the answer stays right until the transaction ends.

    Raises:
        ValueError: the database is of a later release, or its tables are not a bridge's.
    """
    version, steps = _version(connection), list(_steps().walk_revisions())
    if version is None:
        _refuse_foreign_tables(connection)
    elif version not in {step.revision for step in steps}:
        raise ValueError(f"the database belongs to a later release of the bridge (version {version}); install that one")
    return [f"{step.revision}: {step.doc}" for step in reversed(steps) if version is None or step.revision > version]


def latest() -> str:
    """Return the version that this release's tables have."""
    return str(_steps().get_current_head())


def _version(connection: sa.Connection) -> str | None:
    return MigrationContext.configure(connection, opts={"version_table": VERSION_TABLE}).get_current_revision()


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
