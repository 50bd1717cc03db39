"""The jobs of this gateway: what it looks after now, in memory, and every change of the job table that
it makes.
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, TypeVar

import structlog

from online_runtime.gateway.job_summary import JobSummary
from online_runtime.gateway.load import Load
from online_runtime.gateway.routing import RouteInstance
from online_runtime.jobs import queue
from online_runtime.jobs.archive import Archive
from online_runtime.jobs.database import JobsDatabase
from online_runtime.jobs.job import ArchivedFile, Job, JobState, NewJob
from online_runtime.jobs.ownership import Ownership

log = structlog.get_logger()

Key = tuple[str, str]
Result = TypeVar("Result")


class JobLedger:
    """Claimed unfinished jobs by (service, prompt id). Changes are stored first, then seen here."""

    def __init__(
        self, database: JobsDatabase, ownership: Ownership, archive: Archive, load: Load, gateway: str
    ) -> None:
        self.archive = archive
        self.wake = asyncio.Event()  # set when there is something new for the archivist
        self.database = database  # for questions that `ask` has no form for
        self._ownership, self._load, self._gateway = ownership, load, gateway
        self.ended: Counter[tuple[str, str]] = Counter()  # (service, state) -> jobs that ended here
        self._claimed: dict[Key, Job] = {}
        self._by_owner: dict[str, dict[Key, Job]] = {}  # the same jobs, by instance id; no empty ones
        self._posting: Counter[Key] = Counter()

    @property
    def owners(self) -> tuple[tuple[str, str], ...]:
        """(service, instance id) of every instance that owns unfinished jobs of this gateway."""
        return tuple((next(iter(jobs))[0], instance_id) for instance_id, jobs in self._by_owner.items())

    def jobs_of(self, instance_id: str) -> list[Job]:
        """Unfinished jobs there that nobody is sending to an engine right now, oldest first."""
        jobs = self._by_owner.get(instance_id, {})
        return [job for key, job in jobs.items() if key not in self._posting]

    def holds(self, job: Job) -> bool:
        """Whether `job` is still as it was when it was read here."""
        key = (job.service, job.prompt_id)
        return self._claimed.get(key) == job and key not in self._posting

    @contextmanager
    def posting(self, service: str, prompt_id: str) -> Iterator[None]:
        """While a job is being sent to an engine, the archivist must not judge it."""
        key = (service, prompt_id)
        self._posting[key] += 1
        try:
            yield
        finally:
            self._posting[key] -= 1
            if not self._posting[key]:
                del self._posting[key]
            self.wake.set()

    async def find(self, service: str, prompt_id: str) -> Job | None:
        """A job of the service, or None when that id was never accepted."""
        return self._claimed.get((service, prompt_id)) or await self.ask(queue.job, service, prompt_id)

    async def ask(self, question: Callable[..., Result], *arguments: Any) -> Result:
        """One question of `online_runtime.jobs.queue`, asked in a thread."""
        return await asyncio.to_thread(question, self.database, *arguments)

    async def accept(self, new: NewJob) -> Job | None:
        """Store a new job with its owner; see Ownership.accept. Returns after the commit."""
        known = await asyncio.wrap_future(self._ownership.accept(new))
        if known is None:
            self._keep(_first(new))
        return known

    def running(self, service: str, prompt_id: str, answer: str | None) -> None:
        """The engine has the job. Not awaited: its owner is on record already, and changes are stored
        in order.
        """
        job = self._claimed.get((service, prompt_id))
        if job is not None:
            self._keep(replace(job, state=JobState.RUNNING, answer=answer))
        self._unawaited(self._ownership.running(service, prompt_id, answer))

    async def resubmit(self, job: Job, instance: RouteInstance) -> Job | None:
        """Record a second attempt before it is made. None: somebody else was faster."""
        changed = self._ownership.resubmit(job, instance.id, instance.snapshot_id)
        if not await asyncio.wrap_future(changed):
            self._drop(job.service, job.prompt_id)
            return None
        again = replace(
            job,
            state=JobState.WAITING,
            instance_id=instance.id,
            snapshot_id=instance.snapshot_id,
            attempt=job.attempt + 1,
        )
        self._keep(again)
        return again

    async def forget(self, service: str, prompt_id: str) -> None:
        """No engine accepted the job: the caller is told so, and its id is free again."""
        self._drop(service, prompt_id)
        await asyncio.wrap_future(self._ownership.forget(service, prompt_id))

    async def finish(
        self,
        job: Job,
        state: JobState,
        reason: str | None = None,
        files: Sequence[ArchivedFile] = (),
        summary: JobSummary | None = None,
    ) -> None:
        """End a job whose result is archived."""
        change = self._ownership.finish(
            job,
            state,
            reason=reason,
            files=files,
            summary=None if summary is None else json.dumps(summary.facts),
            execution_seconds=None if summary is None else summary.execution_seconds,
        )
        ended = await asyncio.wrap_future(change)
        self._drop(job.service, job.prompt_id)
        if ended:
            self.ended[job.service, state.value] += 1
            log.info(
                "job_ended",
                instance=job.instance_id,
                service=job.service,
                prompt=job.prompt_id,
                state=state,
                reason=reason,
            )

    def let_go(self, job: Job) -> None:
        """Somebody else has ended or taken over this job."""
        self._drop(job.service, job.prompt_id)

    async def cancel(self, service: str, prompt_ids: Sequence[str], reason: str) -> None:
        """Note, before it is done, that a caller takes these jobs out of the queue."""
        await asyncio.wrap_future(self._ownership.cancel(service, prompt_ids, reason))
        self.wake.set()

    async def erase(self, service: str, prompt_ids: Sequence[str] | None) -> None:
        """Hide finished jobs from history: those named, or all (None)."""
        await asyncio.wrap_future(self._ownership.erase(service, prompt_ids))

    async def renew(self) -> None:
        """Keep the claims, take up those of gateways that are gone, correct the counts."""
        await asyncio.wrap_future(self._ownership.renew())
        if await asyncio.wrap_future(self._ownership.take_over()):
            for job in await self.ask(queue.claimed, self._gateway):
                if (job.service, job.prompt_id) not in self._claimed:
                    self._keep(job)
            log.info("jobs_taken_over", jobs=len(self._claimed))
        self._load.correct_jobs(await self.ask(queue.unfinished_by_instance))

    async def release(self) -> None:
        """At the end of this process: let others take the jobs at once."""
        await asyncio.wrap_future(self._ownership.release())

    def _keep(self, job: Job) -> None:
        key = (job.service, job.prompt_id)
        before = self._claimed.get(key)
        if before is not None and before.instance_id != job.instance_id:
            self._drop(*key)
            before = None
        if before is None:
            self._load.job_accepted(job.instance_id)
        self._claimed[key] = self._by_owner.setdefault(job.instance_id, {})[key] = job

    def _drop(self, service: str, prompt_id: str) -> None:
        key = (service, prompt_id)
        job = self._claimed.pop(key, None)
        if job is None:
            return
        self._load.job_ended(job.instance_id)
        jobs = self._by_owner[job.instance_id]
        del jobs[key]
        if not jobs:
            del self._by_owner[job.instance_id]

    def _unawaited(self, change: Future[None]) -> None:
        change.add_done_callback(_report)


def _report(change: Future[None]) -> None:
    problem = change.exception()
    if problem is not None:
        log.error("job_change_not_stored", cause=f"{type(problem).__name__}: {problem}")


def _first(new: NewJob) -> Job:
    return Job(
        service=new.service,
        prompt_id=new.prompt_id,
        state=JobState.WAITING,
        instance_id=new.instance_id,
        snapshot_id=new.snapshot_id,
        attempt=1,
        accepted_at=new.accepted_at,
        body_sha256=new.body_sha256,
        client_id=new.client_id,
        idempotency_key=new.idempotency_key,
        workflow_id=new.workflow_id,
    )
