"""Run by Alembic. `publisher.db.control` hands over its connection, so that an upgrade is one transaction."""

from __future__ import annotations

from alembic import context

from publisher.db.tables import Row

context.configure(connection=context.config.attributes["connection"], target_metadata=Row.metadata)
context.run_migrations()
