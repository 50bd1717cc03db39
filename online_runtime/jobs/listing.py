"""A service's jobs in pages: filtered, sorted and counted by the database. Only reads, from any thread."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from enum import StrEnum

from sqlalchemy import ColumnElement, and_, false, func, or_, select

from online_runtime.jobs.database import JobsDatabase
from online_runtime.jobs.job import UNFINISHED, Job, JobState
from online_runtime.jobs.queue import COLUMNS, job_of
from online_runtime.jobs.tables import jobs as table


class SortKey(StrEnum):
    """What a list is sorted by; equal ones by the time of their acceptance."""

    ACCEPTED_AT = "accepted_at"
    EXECUTION_SECONDS = "execution_seconds"  # jobs that never executed count as 0


@dataclass(frozen=True)
class JobFilter:
    """Which jobs: those that ended in one of `ends`, and unfinished ones that execute, or that wait.

    Only engines know what they execute, so the caller says it in `executing_ids`.
    """

    ends: Collection[JobState]
    waiting: bool
    executing: bool
    executing_ids: Collection[str] = ()
    workflow_id: str | None = None


@dataclass(frozen=True)
class JobPage:
    """The jobs of one page, and how many there are on all pages together."""

    jobs: tuple[Job, ...]
    total: int


def page(
    database: JobsDatabase,
    service: str,
    wanted: JobFilter,
    sort_by: SortKey = SortKey.ACCEPTED_AT,
    *,
    descending: bool = True,
    limit: int = 200,
    offset: int = 0,
) -> JobPage:
    """One page of a service's jobs. Erased ones are left out."""
    condition = (table.c.service == service) & table.c.erased_at.is_(None) & _matching(wanted)
    order = [column.desc() if descending else column.asc() for column in _order(sort_by)]
    rows = select(*COLUMNS).where(condition).order_by(*order).limit(limit).offset(offset)
    with database.read() as connection:
        total = connection.execute(select(func.count()).select_from(table).where(condition)).scalar_one()
        found = tuple(job_of(dict(row)) for row in connection.execute(rows).mappings())
    return JobPage(found, total)


def _matching(wanted: JobFilter) -> ColumnElement[bool]:
    unfinished, executes = table.c.state.in_(UNFINISHED), table.c.prompt_id.in_(tuple(wanted.executing_ids))
    state = or_(
        table.c.state.in_(tuple(wanted.ends)),
        unfinished & ~executes if wanted.waiting else false(),
        unfinished & executes if wanted.executing else false(),
    )
    return state if wanted.workflow_id is None else and_(state, table.c.workflow_id == wanted.workflow_id)


def _order(sort_by: SortKey) -> list[ColumnElement[object]]:
    by_time: list[ColumnElement[object]] = [table.c.accepted_at, table.c.prompt_id]
    if sort_by is SortKey.EXECUTION_SECONDS:
        return [func.coalesce(table.c.execution_seconds, 0.0), *by_time]
    return by_time
