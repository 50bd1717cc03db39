"""What a list of jobs filters, sorts and shows; and which results a caller has erased from history."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Add columns only: gateways of the version before go on working meanwhile."""
    op.add_column("jobs", sa.Column("workflow_id", sa.String(200)))
    op.add_column("jobs", sa.Column("execution_seconds", sa.Float))
    op.add_column("jobs", sa.Column("summary", sa.Text))
    op.add_column("jobs", sa.Column("erased_at", sa.DateTime(timezone=True)))
