"""How much work a service did on each day, from the job table. Only reads."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

from sqlalchemy import ColumnElement, Date, case, cast, func, select

from online_runtime.jobs.database import JobsDatabase
from online_runtime.jobs.job import JobState
from online_runtime.jobs.tables import jobs as table

_BAD = (JobState.FAILED, JobState.LOST)


@dataclass(frozen=True)
class WorkDone:
    """Of one UTC day: jobs that were accepted on it, those that failed or were lost, seconds of inference."""

    jobs: int = 0
    failed: int = 0
    inference_seconds: float = 0.0


def work_by_day(database: JobsDatabase, service: str, first: date, last: date) -> dict[date, WorkDone]:
    """The days from `first` to `last`, both included, on which anything was accepted."""
    day = _day(database)
    query = (
        select(
            day.label("day"),
            func.count().label("number"),
            func.sum(case((table.c.state.in_(_BAD), 1), else_=0)).label("bad"),
            func.sum(func.coalesce(table.c.execution_seconds, 0.0)).label("seconds"),
        )
        .where(
            table.c.service == service,
            table.c.accepted_at >= datetime.combine(first, time(), UTC),
            table.c.accepted_at < datetime.combine(last + timedelta(days=1), time(), UTC),
        )
        .group_by(day)
    )
    with database.read() as connection:
        return {
            date.fromisoformat(str(row.day)): WorkDone(row.number, int(row.bad), float(row.seconds))
            for row in connection.execute(query)
        }


def _day(database: JobsDatabase) -> ColumnElement[object]:
    """The UTC day of acceptance. SQLite keeps times as texts in UTC, PostgreSQL as moments."""
    if database.engine.dialect.name == "sqlite":
        return func.date(table.c.accepted_at)
    return cast(func.timezone("UTC", table.c.accepted_at), Date)
