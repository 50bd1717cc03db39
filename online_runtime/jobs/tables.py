"""The tables of the jobs database. Columns follow `Job`; the schema itself is made by the migrations."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Column,
    DateTime,
    Float,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
)

# The newest migration in migrations/versions. A test compares the two.
SCHEMA = "0003"

metadata = MetaData()

jobs = Table(
    "jobs",
    metadata,
    Column("service", String(40), primary_key=True),
    Column("prompt_id", String(36), primary_key=True),
    Column("state", String(12), nullable=False),
    Column("instance_id", String(100), nullable=False),
    Column("snapshot_id", String(100), nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("accepted_at", DateTime(timezone=True), nullable=False),
    Column("finished_at", DateTime(timezone=True)),
    Column("client_id", String(200)),
    Column("idempotency_key", String(200)),
    Column("body", LargeBinary),  # emptied when the job ends: its history entry holds the prompt
    Column("body_sha256", String(64), nullable=False),
    Column("answer", Text),
    Column("reason", Text),
    Column("cancel_reason", Text),
    Column("claimed_by", String(100)),
    Column("claimed_until", DateTime(timezone=True)),
    Column("workflow_id", String(200)),
    Column("execution_seconds", Float),
    Column("summary", Text),  # JSON: what a list shows of a finished job
    Column("erased_at", DateTime(timezone=True)),  # from history; its id and key stay taken, its files stay
    Column("archive_bytes", BigInteger),  # of its result on disk; NULL: not measured yet
    Column("expired_at", DateTime(timezone=True)),  # its result was removed, for its age or for room
    UniqueConstraint("service", "idempotency_key", name="one_job_per_idempotency_key"),
)
Index("jobs_by_state_and_instance", jobs.c.state, jobs.c.instance_id)
Index("jobs_by_service_and_time", jobs.c.service, jobs.c.accepted_at)

# Which prompt made which file, so that a view by bare name finds the newest one.
job_files = Table(
    "job_files",
    metadata,
    Column("service", String(40), primary_key=True),
    Column("prompt_id", String(36), primary_key=True),
    Column("kind", String(8), primary_key=True),
    Column("subfolder", String(500), primary_key=True),
    Column("filename", String(255), primary_key=True),
    Column("archived_at", DateTime(timezone=True), nullable=False),
)
Index(
    "job_files_by_name",
    job_files.c.service,
    job_files.c.kind,
    job_files.c.subfolder,
    job_files.c.filename,
    job_files.c.archived_at,
)
