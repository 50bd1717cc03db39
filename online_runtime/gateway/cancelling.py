"""POST /api/jobs/cancel and /api/jobs/ID/cancel: each job at the instance that owns it."""

from __future__ import annotations

import structlog

from online_runtime.gateway.errors import InstanceUnreachable, JobsQueryRefused
from online_runtime.gateway.exchange import Exchange
from online_runtime.gateway.ledger import JobLedger
from online_runtime.gateway.routing import RouteInstance, ServiceRoute
from online_runtime.gateway.upstream import Upstream
from online_runtime.gateway.watch import RoutingWatch
from online_runtime.gateway.whereabouts import queue_of
from online_runtime.gateway.wishes import prompt_ids, wish_of
from online_runtime.jobs.job import Job, is_prompt_id

log = structlog.get_logger()

CANCELLED = "A caller cancelled it."


class Cancelling:
    """Takes jobs out of queues and interrupts those that execute. A job that has ended is left as it is."""

    def __init__(self, ledger: JobLedger, upstream: Upstream, watch: RoutingWatch) -> None:
        self._ledger, self._upstream, self._watch = ledger, upstream, watch

    async def one(self, exchange: Exchange, route: ServiceRoute, prompt_id: str) -> None:
        """`{"cancelled": whether it was}`; a job that nobody knows cannot be. Raises JobsQueryRefused."""
        await exchange.json({"cancelled": await self._cancel(route.name, _checked(prompt_id))})

    async def many(self, exchange: Exchange, route: ServiceRoute) -> None:
        """`{"cancelled": whether any was}` for `{"job_ids": [...]}`. Raises JobsQueryRefused."""
        named = (await wish_of(exchange, route)).get("job_ids")
        if not isinstance(named, list):
            raise JobsQueryRefused("job_ids", str(named)[:40], "a list of job ids")
        for one in named:
            _checked(one)
        done = [await self._cancel(route.name, one) for one in dict.fromkeys(prompt_ids(named))]
        await exchange.json({"cancelled": any(done)})

    async def _cancel(self, service: str, prompt_id: str) -> bool:
        job = await self._ledger.find(service, prompt_id)
        if job is None or job.finished:
            return False
        owner = self._watch.instance(service, job.instance_id)
        try:
            return await self._at_owner(job, owner)
        except InstanceUnreachable as problem:
            if not problem.refused:
                raise
            log.info("cancelled_without_owner", prompt=prompt_id, instance=job.instance_id)
            return await self._at_owner(job, None)

    async def _at_owner(self, job: Job, owner: RouteInstance | None) -> bool:
        """The wish is noted before it is done, so that a job that vanishes is not submitted again."""
        if owner is None:
            await self._ledger.cancel(job.service, [job.prompt_id], CANCELLED)
            return True
        before = await queue_of(self._upstream, owner)
        if job.prompt_id not in before.running | before.pending:
            return False
        await self._ledger.cancel(job.service, [job.prompt_id], CANCELLED)
        if job.prompt_id in before.pending:
            await self._upstream.call(owner, "POST", "/queue", {"delete": [job.prompt_id]})
            # It may have begun between the look and the call, and does not go back.
            before = await queue_of(self._upstream, owner)
        if job.prompt_id in before.running:
            await self._upstream.call(owner, "POST", "/interrupt", {"prompt_id": job.prompt_id})
        return True


def _checked(prompt_id: object) -> str:
    if not isinstance(prompt_id, str) or not is_prompt_id(prompt_id):
        raise JobsQueryRefused("job_ids", str(prompt_id)[:40], "lower-case UUIDs with hyphens")
    return prompt_id
