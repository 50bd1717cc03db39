"""The fleet by itself: wanted numbers, what has changed, crash loops, the lifecycle of every instance."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

WHEN = sa.DateTime(timezone=True)


def upgrade() -> None:
    """Four tables, and columns that records of before do not know."""
    op.add_column("deployments", sa.Column("instances_wanted", sa.Integer(), nullable=True))
    op.add_column("instances", sa.Column("failed_at", WHEN, nullable=True))
    op.add_column("instances", sa.Column("stop_reason", sa.Text(), nullable=True))
    _fleets()
    op.create_table(
        "fleet_sizes",
        sa.Column("id", sa.Integer(), primary_key=True),
        sa.Column("service_id", sa.Integer(), sa.ForeignKey("services.id"), nullable=False),
        sa.Column("deployment_id", sa.Integer(), nullable=True),
        sa.Column("at", WHEN, nullable=False),
        sa.Column("wanted_since", WHEN, nullable=False),
        sa.Column("wanted", sa.Integer(), nullable=False),
        sa.Column("running", sa.Integer(), nullable=False),
        sa.Column("accepting", sa.Integer(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
    )
    op.create_index("fleet_sizes_by_service", "fleet_sizes", ["service_id", "at"])
    op.create_table(
        "instance_moments",
        sa.Column("id", sa.Integer(), primary_key=True),
        sa.Column("instance_id", sa.Text(), sa.ForeignKey("instances.id"), nullable=False, index=True),
        sa.Column("at", WHEN, nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("why", sa.Text(), nullable=False),
    )


def _fleets() -> None:
    """One counter of all changes, and beside each service the change that touched it last."""
    op.create_table(
        "changes",
        sa.Column("id", sa.Integer(), primary_key=True),
        sa.Column("number", sa.Integer(), nullable=False),
    )
    op.execute("INSERT INTO changes (id, number) VALUES (1, 1)")
    op.create_table(
        "fleets",
        sa.Column("service_id", sa.Integer(), sa.ForeignKey("services.id"), primary_key=True),
        sa.Column("touched", sa.Integer(), nullable=False, index=True),
        sa.Column("halted_at", WHEN, nullable=True),
        sa.Column("halted_deployment_id", sa.Integer(), nullable=True),
        sa.Column("halted_why", sa.Text(), nullable=True),
        sa.Column("resumed_at", WHEN, nullable=True),
        sa.Column("problem", sa.Text(), nullable=True),
    )
    op.execute("INSERT INTO fleets (service_id, touched) SELECT id, 1 FROM services")
