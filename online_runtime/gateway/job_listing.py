"""/api/jobs of newer ComfyUI versions, answered from the job table: for every engine, and after its
instance is gone.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Collection
from typing import Any

from online_runtime.gateway.errors import PromptExpired, PromptLost, PromptUnknown
from online_runtime.gateway.exchange import Exchange
from online_runtime.gateway.histories import Histories
from online_runtime.gateway.job_query import ENDED, IN_PROGRESS, PENDING, read_query
from online_runtime.gateway.ledger import JobLedger
from online_runtime.gateway.problems import Headers
from online_runtime.gateway.queues import Queues
from online_runtime.gateway.routing import ServiceRoute
from online_runtime.jobs import listing, queue
from online_runtime.jobs.job import Job


class JobListing:
    """GET /jobs and GET /jobs/ID."""

    def __init__(self, ledger: JobLedger, histories: Histories, queues: Queues) -> None:
        self._ledger, self._histories, self._queues = ledger, histories, queues

    async def all(self, exchange: Exchange, route: ServiceRoute) -> None:
        """One page, the newest first unless asked otherwise. Raises JobsQueryRefused."""
        asked = read_query(exchange.parameters())
        executing: Collection[str] = ()
        silent: Headers = []
        if asked.needs_engines:
            executing, silent = await self._queues.executing(route)
        found = await asyncio.to_thread(
            listing.page,
            self._ledger.database,
            route.name,
            asked.filter(executing),
            asked.sort_by,
            descending=asked.descending,
            limit=asked.limit,
            offset=asked.offset,
        )
        pagination = {
            "offset": asked.offset,
            "limit": asked.limit,
            "total": found.total,
            "has_more": asked.offset + len(found.jobs) < found.total,
        }
        jobs = [_listed(job, executing) for job in found.jobs]
        await exchange.json({"jobs": jobs, "pagination": pagination}, silent)

    async def one(self, exchange: Exchange, route: ServiceRoute, prompt_id: str) -> None:
        """One job with its workflow, and its outputs as soon as it has any. Raises PromptUnknown."""
        entry: dict[str, Any] | None = None
        headers: Headers = []
        with contextlib.suppress(PromptLost, PromptExpired):  # listed with its reason, or as expired
            entry, headers = await self._histories.entry(route, prompt_id)
        # Read after its entry: asking for the entry of a job that has just ended archives and ends it.
        job = await self._ledger.find(route.name, prompt_id)
        if job is None:
            raise PromptUnknown(route.name, prompt_id)
        found: dict[str, Any] = entry or {}
        executing: Collection[str] = ()
        if not job.finished:
            executing, _ = await self._queues.executing(route)
        details = {
            "outputs": found.get("outputs", {}),
            "execution_status": found.get("status"),
            "workflow": await self._workflow(job, found),
        }
        await exchange.json({**_listed(job, executing), **details}, headers)

    async def _workflow(self, job: Job, entry: dict[str, Any]) -> dict[str, Any]:
        item = entry.get("prompt")
        if isinstance(item, list) and len(item) > 3:
            return {"prompt": item[2], "extra_data": item[3]}
        body = await self._ledger.ask(queue.body, job.service, job.prompt_id)
        document = json.loads(body) if body else {}
        return {"prompt": document.get("prompt", {}), "extra_data": document.get("extra_data", {})}


def _listed(job: Job, executing: Collection[str]) -> dict[str, Any]:
    unfinished = IN_PROGRESS if job.prompt_id in executing else PENDING
    facts: dict[str, Any] = {
        "id": job.prompt_id,
        "status": ENDED.get(job.state, unfinished),
        "priority": _number_of(job),
        "create_time": int(job.accepted_at.timestamp() * 1000),
        "workflow_id": job.workflow_id,
        "outputs_count": 0,
        "previewable_outputs_count": 0,
    }
    if job.finished_at is not None:
        facts["execution_end_time"] = int(job.finished_at.timestamp() * 1000)
    if job.reason is not None:
        facts["execution_error"] = {"exception_message": job.reason}
    if job.expired_at is not None:
        facts["expired_time"] = int(job.expired_at.timestamp() * 1000)
    if job.summary is not None:
        facts |= json.loads(job.summary)
    return {name: value for name, value in facts.items() if value is not None}


def _number_of(job: Job) -> float:
    """The number that its engine gave it in the queue; 0 while there is none."""
    try:
        number = json.loads(job.answer or "{}").get("number", 0)
    except (ValueError, AttributeError):
        return 0
    return number if isinstance(number, int | float) else 0
