"""What becomes of a job whose engine is gone or has forgotten it: once more on another instance, then
lost, with the reason.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import aiohttp
import structlog

from online_runtime.gateway.errors import InstanceUnreachable
from online_runtime.gateway.ledger import JobLedger
from online_runtime.gateway.load import Load
from online_runtime.gateway.routing import RouteInstance
from online_runtime.gateway.settings import GatewaySettings
from online_runtime.gateway.upstream import Upstream
from online_runtime.gateway.watch import RoutingWatch
from online_runtime.jobs import queue
from online_runtime.jobs.job import Job, JobState

log = structlog.get_logger()

ATTEMPTS = 2  # design.md promise 7: re-submitted once, then a stated error


class Resubmission:
    """Settles one vanished job. Safe to call again and from several gateways: every step is a
    conditional update.
    """

    def __init__(
        self,
        settings: GatewaySettings,
        ledger: JobLedger,
        upstream: Upstream,
        watch: RoutingWatch,
        load: Load,
    ) -> None:
        self._ledger, self._upstream, self._watch, self._load = ledger, upstream, watch, load
        self._orphan_limit = timedelta(seconds=settings.orphan_limit_seconds)
        self._post_limit = aiohttp.ClientTimeout(
            total=settings.post_limit_seconds, sock_connect=settings.connect_limit_seconds
        )

    async def again(self, job: Job, why: str, excluded: frozenset[RouteInstance] = frozenset()) -> None:
        """Submit `job` once more, end it as lost or cancelled, or leave it for the next look when
        nobody can take it yet.
        """
        stored = await self._ledger.ask(queue.job, job.service, job.prompt_id)
        if stored is None or stored.finished:
            await self._ledger.finish(
                job, JobState.LOST, why
            )  # changes nothing in the table: only forgets it here
            return
        if stored.cancel_reason is not None:
            await self._ledger.finish(job, JobState.INTERRUPTED, stored.cancel_reason)
            return
        if stored.attempt >= ATTEMPTS:
            await self._ledger.finish(
                job, JobState.LOST, f"{why} It had been submitted a second time before."
            )
            return
        await self._submit(stored, why, excluded)

    async def _submit(self, job: Job, why: str, excluded: frozenset[RouteInstance]) -> None:
        route = self._watch.service(job.service)
        instance = None if route is None else self._load.choose(route, excluded)
        body = await self._ledger.ask(queue.body, job.service, job.prompt_id)
        if instance is None:
            if datetime.now(UTC) - job.accepted_at > self._orphan_limit:
                await self._ledger.finish(job, JobState.LOST, f"{why} No other instance could take it.")
            return
        with self._load.visit(instance.id), self._ledger.posting(job.service, job.prompt_id):
            second = await self._ledger.resubmit(job, instance)
            if second is None or body is None:
                return
            log.warning("job_resubmitted", prompt=job.prompt_id, instance=instance.id, why=why)
            await self._post(second, instance, body)

    async def _post(self, job: Job, instance: RouteInstance, body: bytes) -> None:
        try:
            status, answer = await self._upstream.post(instance, "POST", "/prompt", body, self._post_limit)
        except InstanceUnreachable as problem:
            log.warning("resubmission_unanswered", prompt=job.prompt_id, cause=problem.cause)
            return  # the next look finds out whether the engine has it
        if status == 200:
            self._ledger.running(job.service, job.prompt_id, answer.decode())
            return
        await self._ledger.finish(
            job, JobState.FAILED, f"Submitted again, it was refused: {_refusal(answer)}"
        )


def _refusal(answer: bytes) -> str:
    try:
        return str(json.loads(answer)["error"]["message"])
    except (ValueError, KeyError, TypeError):
        return "the engine gave no reason."
