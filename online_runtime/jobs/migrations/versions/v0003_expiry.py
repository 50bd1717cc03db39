"""How large an archived result is, and when it was removed for its age or for room."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Add columns only: gateways of the version before go on working meanwhile."""
    op.add_column("jobs", sa.Column("archive_bytes", sa.BigInteger))
    op.add_column("jobs", sa.Column("expired_at", sa.DateTime(timezone=True)))
