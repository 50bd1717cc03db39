"""The archivist: learns when jobs end, archives what they made, and only then marks them as ended.

One watcher an instance asks its engine for the truth once a second; the engine's status broadcast is
only a hint to ask
at once. Everything is taken up again after a restart, because what is unfinished stands in the job table.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

import aiohttp
import structlog
from sqlalchemy.exc import SQLAlchemyError

from online_runtime.gateway.archiving import Archiving
from online_runtime.gateway.errors import InstanceAnswerBroken, InstanceUnreachable
from online_runtime.gateway.ledger import JobLedger
from online_runtime.gateway.resubmission import Resubmission
from online_runtime.gateway.routing import RouteInstance
from online_runtime.gateway.settings import GatewaySettings
from online_runtime.gateway.upstream import Upstream, url_of
from online_runtime.gateway.watch import RoutingWatch
from online_runtime.gateway.whereabouts import finished_entry, queue_of, queue_remaining
from online_runtime.jobs.errors import JobsError
from online_runtime.jobs.job import Job, JobState

log = structlog.get_logger()

WAKE_SECONDS = 0.05  # prompts come faster than it pays to look at each by itself
RENEW_SECONDS = 3.0  # a third of the claim's life
LOOK_AT = 32  # jobs asked for in one look: engines finish in order, so the oldest come first
HINT_RETRY_SECONDS = 2.0
SETTLE_SECONDS = 10.0  # prompts of other gateways can hide in the engine's count that one of ours vanished


class Archivist:
    """Background work of one gateway; `run` until cancelled."""

    def __init__(
        self,
        settings: GatewaySettings,
        ledger: JobLedger,
        upstream: Upstream,
        watch: RoutingWatch,
        archiving: Archiving,
        resubmission: Resubmission,
        gateway: str,
    ) -> None:
        self._ledger, self._upstream, self._watch = ledger, upstream, watch
        self._archiving, self._resubmission, self._gateway = archiving, resubmission, gateway
        self._poll_seconds = settings.archive_poll_seconds
        self._silence_seconds = settings.owner_silence_seconds
        self._watchers: dict[str, asyncio.Task[None]] = {}
        self._settled_at: dict[str, float] = {}

    async def run(self) -> None:
        """Renew claims, keep one watcher an instance, settle the jobs of instances that are gone."""
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._renew_for_ever())
                group.create_task(self._attend_for_ever())
        finally:
            for watcher in self._watchers.values():
                watcher.cancel()

    async def _renew_for_ever(self) -> None:
        while True:
            try:
                await self._ledger.renew()
                self._ledger.wake.set()
            except (SQLAlchemyError, OSError) as problem:
                log.error("claims_not_renewed", cause=f"{type(problem).__name__}: {problem}")
            await asyncio.sleep(RENEW_SECONDS)

    async def _attend_for_ever(self) -> None:
        while True:
            self._ledger.wake.clear()
            for service, instance_id in self._ledger.owners:
                watcher = self._watchers.get(instance_id)
                if watcher is None or watcher.done():
                    self._watchers[instance_id] = self._watcher(service, instance_id)
            await _wait(self._ledger.wake, self._poll_seconds)
            await asyncio.sleep(WAKE_SECONDS)

    def _watcher(self, service: str, instance_id: str) -> asyncio.Task[None]:
        instance = self._watch.instance(service, instance_id)
        work = self._orphans(instance_id) if instance is None else self._follow(service, instance)
        task = asyncio.create_task(work, name=f"watch {instance_id}")
        task.add_done_callback(_report)
        return task

    async def _orphans(self, instance_id: str) -> None:
        """Settle the jobs of an instance that is not routed: only when the table itself can be believed."""
        if self._watch.table.version == 0 or self._watch.stale:
            return
        for job in self._ledger.jobs_of(instance_id):
            if self._ledger.holds(job):
                try:
                    await self._resubmission.again(job, f"Instance {instance_id} is gone.")
                except (SQLAlchemyError, JobsError) as problem:
                    log.error("orphan_not_settled", prompt=job.prompt_id, cause=str(problem))

    async def _follow(self, service: str, instance: RouteInstance) -> None:
        """Watch one instance until it has no unfinished jobs of ours, or is routed no longer."""
        hint = asyncio.Event()
        listener = asyncio.create_task(self._listen(instance, hint))
        refused_since: float | None = None
        try:
            while (jobs := self._ledger.jobs_of(instance.id)) and self._watch.instance(
                service, instance.id
            ) == instance:
                hint.clear()
                refused_since = await self._look_safely(instance, jobs, refused_since)
                await _wait(hint, self._poll_seconds)
        finally:
            listener.cancel()
            self._settled_at.pop(instance.id, None)

    async def _look_safely(
        self, instance: RouteInstance, jobs: list[Job], refused_since: float | None
    ) -> float | None:
        """One look; returns since when the instance refuses connections, None when it does not."""
        now = asyncio.get_running_loop().time()
        try:
            await self._look(instance, jobs)
        except InstanceUnreachable as problem:
            if not problem.refused:  # busy is not dead
                return None
            refused_since = refused_since or now
            if now - refused_since > self._silence_seconds:
                await self._all_again(jobs, f"Instance {instance.id} died.", frozenset({instance}))
            return refused_since
        except (InstanceAnswerBroken, SQLAlchemyError, OSError, JobsError) as problem:
            log.error("archive_delayed", instance=instance.id, cause=f"{type(problem).__name__}: {problem}")
        return None

    async def _look(self, instance: RouteInstance, jobs: list[Job]) -> None:
        unfinished = []
        for job in jobs[:LOOK_AT]:
            if not await self._archive_if_finished(instance, job):
                unfinished.append(job)
        waiting = len(unfinished) + len(jobs[LOOK_AT:])
        undecided = any(job.state is JobState.WAITING for job in unfinished)
        if waiting and (undecided or await self._suspicious(instance, waiting)):
            await self._settle(instance, unfinished + jobs[LOOK_AT:])

    async def _suspicious(self, instance: RouteInstance, waiting: int) -> bool:
        """Whether the engine has fewer prompts than are ours, or was not asked for their names for long."""
        now = asyncio.get_running_loop().time()
        if now - self._settled_at.get(instance.id, now) > SETTLE_SECONDS:
            return True
        self._settled_at.setdefault(instance.id, now)
        return await queue_remaining(self._upstream, instance) < waiting

    async def _archive_if_finished(self, instance: RouteInstance, job: Job) -> bool:
        entry = await finished_entry(self._upstream, instance, job.prompt_id)
        if entry is not None:
            await self._archiving.archive(job, instance, entry)
        return entry is not None

    async def _settle(self, instance: RouteInstance, jobs: Iterable[Job]) -> None:
        """The engine has fewer prompts than it should: find those it never got, forgot, or finished out
        of order.
        """
        queue = await queue_of(self._upstream, instance)
        self._settled_at[instance.id] = asyncio.get_running_loop().time()
        for job in jobs:
            if not self._ledger.holds(job):
                continue
            if job.prompt_id in queue.running | queue.pending:
                if job.state is JobState.WAITING:
                    self._ledger.running(job.service, job.prompt_id, None)
            elif not await self._archive_if_finished(instance, job):
                # Absent from the queue, and after that absent from history: engines move prompts in one step.
                await self._resubmission.again(job, f"The engine of instance {instance.id} lost it.")

    async def _all_again(self, jobs: Iterable[Job], why: str, excluded: frozenset[RouteInstance]) -> None:
        for job in jobs:
            if self._ledger.holds(job):
                await self._resubmission.again(job, why, excluded)

    async def _listen(self, instance: RouteInstance, hint: asyncio.Event) -> None:
        """Set `hint` whenever the engine says that its queue changed."""
        url = url_of(instance, "/ws", f"clientId={self._gateway}")
        while True:
            try:
                async with self._upstream.session.ws_connect(url, max_msg_size=0) as socket:
                    async for message in socket:
                        if message.type is aiohttp.WSMsgType.TEXT and '"status"' in message.data:
                            hint.set()
            except (aiohttp.ClientError, OSError) as problem:
                log.info("hints_missing", instance=instance.id, cause=type(problem).__name__)
            await asyncio.sleep(HINT_RETRY_SECONDS)


async def _wait(event: asyncio.Event, limit_seconds: float) -> None:
    try:
        async with asyncio.timeout(limit_seconds):
            await event.wait()
    except TimeoutError:
        return


def _report(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (problem := task.exception()) is not None:
        log.error("watcher_failed", watcher=task.get_name(), exc_info=problem)
