"""Run by alembic for each step: on the connection that `upgrade` gives it, within its transaction."""

from __future__ import annotations

from alembic import context

from pymdc.bridge.migrations import VERSION_TABLE

context.configure(connection=context.config.attributes["connection"], version_table=VERSION_TABLE)
context.run_migrations()
