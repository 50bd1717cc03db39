"""Which archived results have become too old or too many, and their removal, in steps that may be cut off.

A job that expires is marked first, so that nobody is sent to what is about to go; then its folder goes; then
its size becomes 0. What a kill left between the steps is taken up by the next look. Only jobs that ended have
results, so a running one is never touched.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta

from sqlalchemy import ColumnElement, delete, func, select, update

from online_runtime.jobs.archive import Archive
from online_runtime.jobs.database import JobsDatabase
from online_runtime.jobs.job import JobState
from online_runtime.jobs.tables import job_files
from online_runtime.jobs.tables import jobs as table

AT_ONCE = 200  # of one step: a look stays short, the next one goes on
Condition = ColumnElement[bool]
ARCHIVED = (JobState.DONE, JobState.FAILED, JobState.INTERRUPTED)


def expire(
    database: JobsDatabase, archive: Archive, service: str, *, days: float | None, limit_bytes: int | None
) -> tuple[str, ...]:
    """Remove what is too old, and the oldest beyond `limit_bytes`. Returns the prompt ids that went.

    Blocks on disk and database; several gateways may do it at once. Raises OSError, database errors.
    """
    now = datetime.now(UTC)
    if limit_bytes is not None:
        _measure(database, archive, service)
    chosen = _too_old(database, service, now - timedelta(days=days)) if days is not None else []
    if limit_bytes is not None:
        chosen += [one for one in _beyond(database, service, limit_bytes) if one not in chosen]
    _mark(database, service, chosen, now)
    gone = _marked(database, service)
    for prompt_id in gone:
        archive.remove(service, prompt_id)
        _set(database, service, prompt_id, archive_bytes=0)
    return gone


def _measure(database: JobsDatabase, archive: Archive, service: str) -> None:
    for prompt_id in _ids(database, _kept(service, table.c.archive_bytes.is_(None)), AT_ONCE):
        _set(database, service, prompt_id, archive_bytes=archive.size_bytes(service, prompt_id))


def _too_old(database: JobsDatabase, service: str, before: datetime) -> list[str]:
    return _ids(database, _kept(service, table.c.finished_at < before), AT_ONCE)


def _beyond(database: JobsDatabase, service: str, limit_bytes: int) -> list[str]:
    """The oldest ones, without which the newest fit into the limit."""
    newest_first = (table.c.finished_at.desc(), table.c.prompt_id.desc())
    so_far = func.sum(func.coalesce(table.c.archive_bytes, 0)).over(order_by=newest_first)
    sums = (
        select(table.c.prompt_id, table.c.finished_at, so_far.label("so_far"))
        .where(*_kept(service))
        .subquery()
    )
    query = (
        select(sums.c.prompt_id)
        .where(sums.c.so_far > limit_bytes)
        .order_by(sums.c.finished_at)
        .limit(AT_ONCE)
    )
    with database.read() as connection:
        return [str(row[0]) for row in connection.execute(query)]


def _mark(database: JobsDatabase, service: str, prompt_ids: Sequence[str], now: datetime) -> None:
    if not prompt_ids:
        return
    of_them = (table.c.service == service) & table.c.prompt_id.in_(prompt_ids)
    still = table.c.state.in_(ARCHIVED) & table.c.expired_at.is_(None)
    files = (job_files.c.service == service) & job_files.c.prompt_id.in_(prompt_ids)
    with database.write() as connection:
        connection.execute(update(table).where(of_them & still).values(expired_at=now))
        connection.execute(delete(job_files).where(files))


def _marked(database: JobsDatabase, service: str) -> tuple[str, ...]:
    """Expired ones whose folder may still be there."""
    there = func.coalesce(table.c.archive_bytes, 1) > 0
    condition = (table.c.service == service, table.c.expired_at.is_not(None), there)
    return tuple(_ids(database, condition, 2 * AT_ONCE))


def _kept(service: str, *more: Condition) -> tuple[Condition, ...]:
    return (table.c.service == service, table.c.state.in_(ARCHIVED), table.c.expired_at.is_(None), *more)


def _ids(database: JobsDatabase, condition: Iterable[Condition], limit: int) -> list[str]:
    query = select(table.c.prompt_id).where(*condition).order_by(table.c.finished_at).limit(limit)
    with database.read() as connection:
        return [str(row[0]) for row in connection.execute(query)]


def _set(database: JobsDatabase, service: str, prompt_id: str, **values: object) -> None:
    of_it = (table.c.service == service) & (table.c.prompt_id == prompt_id)
    with database.write() as connection:
        connection.execute(update(table).where(of_it).values(**values))
