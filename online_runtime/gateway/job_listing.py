"""/api/jobs of newer ComfyUI versions, answered from the job table: for every engine, and after its
instance is gone.

A job that an engine has is `in_progress`, whether it waits in the engine's queue or executes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from online_runtime.gateway.errors import BadPath, PromptUnknown
from online_runtime.gateway.exchange import Exchange
from online_runtime.gateway.histories import Histories
from online_runtime.gateway.ledger import JobLedger
from online_runtime.gateway.routing import ServiceRoute
from online_runtime.jobs import queue
from online_runtime.jobs.job import Job, JobState, is_prompt_id

LIST_LIMIT = 200
STATUS: Mapping[JobState, str] = {
    JobState.WAITING: "pending",
    JobState.RUNNING: "in_progress",
    JobState.DONE: "completed",
    JobState.FAILED: "failed",
    JobState.INTERRUPTED: "cancelled",
    JobState.LOST: "failed",
}


class JobListing:
    """GET /jobs and GET /jobs/ID."""

    def __init__(self, ledger: JobLedger, histories: Histories) -> None:
        self._ledger, self._histories = ledger, histories

    async def all(self, exchange: Exchange, route: ServiceRoute) -> None:
        """The newest jobs first, by `limit` (at most 200) and `offset`. Raises BadPath for what is not
        a number.
        """
        given = exchange.parameters()
        limit = min(_number(given.get("limit", str(LIST_LIMIT))), LIST_LIMIT)
        offset = _number(given.get("offset", "0"))
        jobs = await self._ledger.ask(queue.jobs, route.name, limit, offset)
        total = await self._ledger.ask(queue.total, route.name)
        more = offset + len(jobs) < total
        page = {"offset": offset, "limit": limit, "total": total, "has_more": more}
        await exchange.json({"jobs": [_listed(job) for job in jobs], "pagination": page})

    async def one(self, exchange: Exchange, route: ServiceRoute, prompt_id: str) -> None:
        """One job with its outputs as soon as it has any. Raises PromptUnknown, PromptLost."""
        job = await self._ledger.find(route.name, prompt_id) if is_prompt_id(prompt_id) else None
        if job is None:
            raise PromptUnknown(route.name, prompt_id)
        entry, headers = await self._histories.entry(route, prompt_id)
        found: dict[str, Any] = entry or {}
        details = {"outputs": found.get("outputs", {}), "execution_status": found.get("status")}
        await exchange.json({**_listed(job), **details}, headers)


def _listed(job: Job) -> dict[str, Any]:
    facts = {
        "id": job.prompt_id,
        "status": STATUS[job.state],
        "create_time": _milliseconds(job.accepted_at.timestamp()),
        "execution_end_time": job.finished_at and _milliseconds(job.finished_at.timestamp()),
        "execution_error": job.reason,
    }
    return {name: value for name, value in facts.items() if value is not None}


def _milliseconds(seconds: float) -> int:
    return int(seconds * 1000)


def _number(text: str) -> int:
    if not text.isdecimal():
        raise BadPath(text)
    return int(text)
