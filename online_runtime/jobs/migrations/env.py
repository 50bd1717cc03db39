"""Alembic's entry: runs the migrations on the connection that `open_jobs` hands over."""

from __future__ import annotations

from alembic import context

from online_runtime.jobs.tables import metadata

context.configure(
    connection=context.config.attributes["connection"], target_metadata=metadata, version_table="jobs_schema"
)
with context.begin_transaction():
    context.run_migrations()
