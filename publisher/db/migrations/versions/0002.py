"""In-place rotation, accepted findings, and the plugins that a candidate must report.

All nullable: records of before know none of it, and were surge rotations.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Five columns."""
    op.add_column("deployments", sa.Column("expected_plugins", sa.JSON(), nullable=True))
    op.add_column("deployments", sa.Column("accepted", sa.JSON(), nullable=True))
    op.add_column("deployments", sa.Column("rotation", sa.Text(), nullable=True))
    op.add_column("deployments", sa.Column("slots_at_hand", sa.Integer(), nullable=True))
    op.add_column("instances", sa.Column("admitted_at", sa.DateTime(timezone=True), nullable=True))
