"""Who owns a job: recorded before the caller gets an answer, changed only by conditional updates.

A claim says which gateway looks after a job until it ends. It runs out unless renewed, so that the jobs of a
gateway
that was killed are taken up by another one, or by itself when it comes back.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, CursorResult, Insert, bindparam, delete, or_, select, update
from sqlalchemy.dialects import postgresql, sqlite

from online_runtime.jobs.errors import IdempotencyKeyReused, PromptIdTaken
from online_runtime.jobs.job import ENDS, UNFINISHED, ArchivedFile, Job, JobState, NewJob, moves_to
from online_runtime.jobs.queue import COLUMNS, job_of
from online_runtime.jobs.tables import job_files
from online_runtime.jobs.tables import jobs as table
from online_runtime.jobs.writer import JobsWriter

CLAIM = timedelta(seconds=10)  # renewed every 3 s: three chances before another gateway takes over


def utc_now() -> datetime:
    return datetime.now(UTC)


class Ownership:
    """Every change of the job table, in the name of one gateway. Each call returns a future that ends after
    the commit.
    """

    def __init__(self, writer: JobsWriter, gateway: str, clock: Callable[[], datetime] = utc_now) -> None:
        self._writer = writer
        self._gateway = gateway
        self._clock = clock

    def accept(self, job: NewJob) -> Future[Job | None]:
        """Record a new job as waiting, owned and claimed. None: it is new. A job: this very call was recorded
        before.

        The future raises PromptIdTaken or IdempotencyKeyReused when the same name came with another body.
        """
        values = self._first_values(job)
        return self._writer.submit(lambda connection: _accept(connection, job, values), overtakes=True)

    def running(self, service: str, prompt_id: str, answer: str | None) -> Future[None]:
        """The owner's engine has the job; `answer` is what it said (JSON text), None when nobody saw it.
        Nobody should wait for this one: it is stored a moment later, together with others.
        """
        values = {"in_service": service, "of_prompt": prompt_id, "its_answer": answer}
        return self._writer.later(RUNNING, values)

    def resubmit(self, job: Job, instance_id: str, snapshot_id: str) -> Future[bool]:
        """Before a job is sent a second time: new owner, next attempt. False: somebody else changed it
        meanwhile.
        """
        condition = (
            _named(job.service, job.prompt_id)
            & (table.c.attempt == job.attempt)
            & table.c.state.in_(UNFINISHED)
        )
        return self._update(
            condition,
            state=JobState.WAITING,
            instance_id=instance_id,
            snapshot_id=snapshot_id,
            attempt=job.attempt + 1,
        )

    def forget(self, service: str, prompt_id: str) -> Future[bool]:
        """Remove a job that no engine accepted, so that its prompt id and key are free again."""
        statement = delete(table).where(_named(service, prompt_id) & (table.c.state == JobState.WAITING))
        return self._writer.submit(lambda connection: _changed(connection, statement))

    def finish(
        self,
        job: Job,
        state: JobState,
        *,
        reason: str | None = None,
        files: Sequence[ArchivedFile] = (),
        summary: str | None = None,
        execution_seconds: float | None = None,
    ) -> Future[bool]:
        """End a job after its result was archived; `files` become findable by name in the same
        transaction.
        """
        statement = (
            update(table)
            .where(_named(job.service, job.prompt_id) & table.c.state.in_(moves_to(state)))
            .values(
                state=state,
                reason=reason,
                summary=summary,
                execution_seconds=execution_seconds,
                finished_at=self._clock(),
                body=None,
                claimed_by=None,
                claimed_until=None,
            )
        )
        rows = _file_rows(job, files, self._clock())
        return self._writer.submit(lambda connection: _finish(connection, statement, rows))

    def cancel(self, service: str, prompt_ids: Iterable[str], reason: str) -> Future[bool]:
        """Note that a client took these jobs out of the queue, so that they are not submitted again when they
        vanish.
        """
        wanted = table.c.prompt_id.in_(tuple(prompt_ids))
        return self._update(
            (table.c.service == service) & wanted & table.c.state.in_(UNFINISHED), cancel_reason=reason
        )

    def erase(self, service: str, prompt_ids: Iterable[str] | None) -> Future[bool]:
        """Hide finished jobs from history: those named, or all (None). Rows and files stay, so that no id or
        key becomes free and nothing can run twice.
        """
        condition = (table.c.service == service) & table.c.state.in_(ENDS) & table.c.erased_at.is_(None)
        if prompt_ids is not None:
            condition &= table.c.prompt_id.in_(tuple(prompt_ids))
        return self._update(condition, erased_at=self._clock())

    def renew(self) -> Future[bool]:
        """Keep the claims on all unfinished jobs of this gateway."""
        mine = (table.c.claimed_by == self._gateway) & table.c.state.in_(UNFINISHED)
        return self._update(mine, claimed_until=self._clock() + CLAIM)

    def take_over(self) -> Future[bool]:
        """Claim unfinished jobs whose gateway has not renewed its claim in time. True when there were any."""
        now = self._clock()
        free = or_(table.c.claimed_until.is_(None), table.c.claimed_until < now)
        return self._update(
            table.c.state.in_(UNFINISHED) & free, claimed_by=self._gateway, claimed_until=now + CLAIM
        )

    def release(self) -> Future[bool]:
        """Give up all claims at the end of this process, so that nobody has to wait for them to run out."""
        mine = (table.c.claimed_by == self._gateway) & table.c.state.in_(UNFINISHED)
        return self._update(mine, claimed_by=None, claimed_until=None)

    def _first_values(self, job: NewJob) -> dict[str, Any]:
        return {
            **{name: getattr(job, name) for name in NewJob.__dataclass_fields__},
            "state": JobState.WAITING,
            "attempt": 1,
            "claimed_by": self._gateway,
            "claimed_until": self._clock() + CLAIM,
        }

    def _update(self, condition: ColumnElement[bool], **values: Any) -> Future[bool]:
        statement = update(table).where(condition).values(**values)
        return self._writer.submit(lambda connection: _changed(connection, statement))


def _named(service: str, prompt_id: str) -> ColumnElement[bool]:
    return (table.c.service == service) & (table.c.prompt_id == prompt_id)


def _changed(connection: Connection, statement: Any) -> bool:
    result: CursorResult[Any] = connection.execute(statement)
    return result.rowcount > 0


# Built once: the two statements of every prompt.
RUNNING = (
    update(table)
    .where(
        table.c.service == bindparam("in_service"),
        table.c.prompt_id == bindparam("of_prompt"),
        table.c.state == JobState.WAITING,
    )
    .values(state=JobState.RUNNING, answer=bindparam("its_answer"))
)
# Inserts report their rowcount only when asked to.
INSERTS: dict[str, Insert] = {
    "sqlite": sqlite.insert(table).on_conflict_do_nothing().execution_options(preserve_rowcount=True),
    "postgresql": postgresql.insert(table).on_conflict_do_nothing().execution_options(preserve_rowcount=True),
}
FILE_INSERTS: dict[str, Insert] = {
    "sqlite": sqlite.insert(job_files).on_conflict_do_nothing(),
    "postgresql": postgresql.insert(job_files).on_conflict_do_nothing(),
}


def _accept(connection: Connection, job: NewJob, values: dict[str, Any]) -> Job | None:
    insert = INSERTS[connection.dialect.name]
    if connection.execute(insert, values).rowcount == 1:
        return None
    return _known(connection, job)


def _known(connection: Connection, job: NewJob) -> Job:
    """The job that stands in the way of a new one. Raises unless it came from the same call."""
    same = _named(job.service, job.prompt_id)
    if job.idempotency_key is not None:
        same |= (table.c.service == job.service) & (table.c.idempotency_key == job.idempotency_key)
    rows = connection.execute(select(*COLUMNS).where(same)).mappings().all()
    known = [job_of(dict(row)) for row in rows]
    by_key = [one for one in known if job.idempotency_key and one.idempotency_key == job.idempotency_key]
    chosen = (by_key or known)[0]
    if chosen.body_sha256 == job.body_sha256:
        return chosen
    if by_key:
        raise IdempotencyKeyReused(job.service, chosen.prompt_id)
    raise PromptIdTaken(job.service, chosen.prompt_id)


def _file_rows(job: Job, files: Sequence[ArchivedFile], now: datetime) -> list[dict[str, Any]]:
    return [
        {
            "service": job.service,
            "prompt_id": job.prompt_id,
            "kind": file.kind,
            "subfolder": file.subfolder,
            "filename": file.filename,
            "archived_at": now,
        }
        for file in files
    ]


def _finish(connection: Connection, statement: Any, rows: list[dict[str, Any]]) -> bool:
    if not _changed(connection, statement):
        return False
    if rows:
        connection.execute(FILE_INSERTS[connection.dialect.name], rows)
    return True
