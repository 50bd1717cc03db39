"""Jobs and the files they made."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Make both tables; the database is empty before."""
    moment = sa.DateTime(timezone=True)
    op.create_table(
        "jobs",
        sa.Column("service", sa.String(40), primary_key=True),
        sa.Column("prompt_id", sa.String(36), primary_key=True),
        sa.Column("state", sa.String(12), nullable=False),
        sa.Column("instance_id", sa.String(100), nullable=False),
        sa.Column("snapshot_id", sa.String(100), nullable=False),
        sa.Column("attempt", sa.Integer, nullable=False),
        sa.Column("accepted_at", moment, nullable=False),
        sa.Column("finished_at", moment),
        sa.Column("client_id", sa.String(200)),
        sa.Column("idempotency_key", sa.String(200)),
        sa.Column("body", sa.LargeBinary),
        sa.Column("body_sha256", sa.String(64), nullable=False),
        sa.Column("answer", sa.Text),
        sa.Column("reason", sa.Text),
        sa.Column("cancel_reason", sa.Text),
        sa.Column("claimed_by", sa.String(100)),
        sa.Column("claimed_until", moment),
        sa.UniqueConstraint("service", "idempotency_key", name="one_job_per_idempotency_key"),
    )
    op.create_index("jobs_by_state_and_instance", "jobs", ["state", "instance_id"])
    op.create_index("jobs_by_service_and_time", "jobs", ["service", "accepted_at"])
    op.create_table(
        "job_files",
        sa.Column("service", sa.String(40), primary_key=True),
        sa.Column("prompt_id", sa.String(36), primary_key=True),
        sa.Column("kind", sa.String(8), primary_key=True),
        sa.Column("subfolder", sa.String(500), primary_key=True),
        sa.Column("filename", sa.String(255), primary_key=True),
        sa.Column("archived_at", moment, nullable=False),
    )
    op.create_index(
        "job_files_by_name", "job_files", ["service", "kind", "subfolder", "filename", "archived_at"]
    )
