"""What is asked of the job table: unfinished jobs, counts, lists. Everything here only reads and may be
called from any thread.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import ColumnElement, func, select

from online_runtime.jobs.database import JobsDatabase
from online_runtime.jobs.job import ENDS, UNFINISHED, Job, JobState
from online_runtime.jobs.tables import job_files
from online_runtime.jobs.tables import jobs as table

# Everything but the body, which may be megabytes and is asked for by `body` alone.
COLUMNS = [table.c[name] for name in Job.__dataclass_fields__]


def aware(moment: datetime | None) -> datetime | None:
    """SQLite forgets the zone; all stored times are UTC."""
    return moment if moment is None or moment.tzinfo else moment.replace(tzinfo=UTC)


def job_of(row: Mapping[str, Any]) -> Job:
    """A job from a row of COLUMNS."""
    values = dict(row)
    times = {name: aware(values[name]) for name in ("accepted_at", "finished_at", "erased_at", "expired_at")}
    return Job(**{**values, **times, "state": JobState(values["state"])})


def job(database: JobsDatabase, service: str, prompt_id: str) -> Job | None:
    """One job of a service, or None when that id was never accepted there."""
    return _one(database, (table.c.service == service) & (table.c.prompt_id == prompt_id))


def job_of_key(database: JobsDatabase, service: str, idempotency_key: str) -> Job | None:
    """The job that was accepted under an Idempotency-Key."""
    return _one(database, (table.c.service == service) & (table.c.idempotency_key == idempotency_key))


def finished(database: JobsDatabase, service: str, limit: int, oldest_skipped: int | None) -> tuple[Job, ...]:
    """Finished jobs, oldest first: the newest `limit`, or `limit` after skipping the oldest
    `oldest_skipped`. Without lost, erased and expired ones.
    """
    kept = table.c.erased_at.is_(None) & table.c.expired_at.is_(None)
    shown = table.c.state.in_(ENDS - {JobState.LOST}) & kept
    query = select(*COLUMNS).where(table.c.service == service, shown)
    if oldest_skipped is not None:
        return _many(database, query.order_by(table.c.accepted_at).limit(limit).offset(oldest_skipped))
    return _many(database, query.order_by(table.c.accepted_at.desc()).limit(limit))[::-1]


def counts(database: JobsDatabase, service: str) -> Mapping[JobState, int]:
    """How many jobs of a service are in each state; states without jobs count 0."""
    query = select(table.c.state, func.count()).where(table.c.service == service).group_by(table.c.state)
    with database.read() as connection:
        found = {JobState(state): number for state, number in connection.execute(query)}
    return {state: found.get(state, 0) for state in JobState}


def unfinished_by_instance(database: JobsDatabase) -> Mapping[str, int]:
    """Instance id -> number of its unfinished jobs, over all services. Instances without any are left out."""
    query = (
        select(table.c.instance_id, func.count())
        .where(table.c.state.in_(UNFINISHED))
        .group_by(table.c.instance_id)
    )
    with database.read() as connection:
        return {str(row[0]): int(row[1]) for row in connection.execute(query)}


def unfinished_by_state(database: JobsDatabase) -> Mapping[tuple[str, str], int]:
    """(service, state) -> number of unfinished jobs. Those without any are left out."""
    query = (
        select(table.c.service, table.c.state, func.count())
        .where(table.c.state.in_(UNFINISHED))
        .group_by(table.c.service, table.c.state)
    )
    with database.read() as connection:
        return {(str(row[0]), str(row[1])): int(row[2]) for row in connection.execute(query)}


def unfinished_of_client(
    database: JobsDatabase, service: str, client_id: str, instance_ids: Collection[str]
) -> int:
    """How many jobs of one websocket client are still unfinished on these instances."""
    query = select(func.count()).where(
        table.c.service == service,
        table.c.client_id == client_id,
        table.c.state.in_(UNFINISHED),
        table.c.instance_id.in_(instance_ids),
    )
    with database.read() as connection:
        return connection.execute(query).scalar_one()


def claimed(database: JobsDatabase, gateway: str) -> tuple[Job, ...]:
    """Unfinished jobs that `gateway` has claimed, oldest first."""
    query = select(*COLUMNS).where(table.c.state.in_(UNFINISHED), table.c.claimed_by == gateway)
    return _many(database, query.order_by(table.c.accepted_at))


def body(database: JobsDatabase, service: str, prompt_id: str) -> bytes | None:
    """What the engine was sent; None once the job has ended."""
    query = select(table.c.body).where(table.c.service == service, table.c.prompt_id == prompt_id)
    with database.read() as connection:
        return connection.execute(query).scalar_one_or_none()


def newest_file(database: JobsDatabase, service: str, kind: str, subfolder: str, filename: str) -> str | None:
    """The last accepted prompt whose archive holds a file of this name, or None."""
    same = (table.c.service == job_files.c.service) & (table.c.prompt_id == job_files.c.prompt_id)
    query = (
        select(job_files.c.prompt_id)
        .join(table, same)
        .where(
            job_files.c.service == service,
            job_files.c.kind == kind,
            job_files.c.subfolder == subfolder,
            job_files.c.filename == filename,
        )
        .order_by(table.c.accepted_at.desc(), job_files.c.archived_at.desc())
        .limit(1)
    )
    with database.read() as connection:
        return connection.execute(query).scalar_one_or_none()


def _one(database: JobsDatabase, condition: ColumnElement[bool]) -> Job | None:
    with database.read() as connection:
        row = connection.execute(select(*COLUMNS).where(condition)).mappings().one_or_none()
    return None if row is None else job_of(dict(row))


def _many(database: JobsDatabase, query: Any) -> tuple[Job, ...]:
    with database.read() as connection:
        return tuple(job_of(dict(row)) for row in connection.execute(query).mappings())
