"""/history: from the owner while it lives, from the archive ever after. Never an empty answer for an id
nobody knows.
"""

from __future__ import annotations

import asyncio
from typing import Any

import structlog

from online_runtime.gateway.archiving import Archiving
from online_runtime.gateway.entries import entry_without_run
from online_runtime.gateway.errors import (
    BadPath,
    InstanceAnswerBroken,
    InstanceUnreachable,
    PromptExpired,
    PromptLost,
    PromptUnknown,
)
from online_runtime.gateway.exchange import Exchange
from online_runtime.gateway.ledger import JobLedger
from online_runtime.gateway.outputs import entry_outside
from online_runtime.gateway.problems import Headers
from online_runtime.gateway.proxy import origin_headers
from online_runtime.gateway.routing import RouteInstance, ServiceRoute
from online_runtime.gateway.upstream import Upstream
from online_runtime.gateway.watch import RoutingWatch
from online_runtime.gateway.whereabouts import finished_entry
from online_runtime.gateway.wishes import prompt_ids, wish_of
from online_runtime.jobs import queue
from online_runtime.jobs.job import Job, JobState, is_prompt_id

log = structlog.get_logger()

LIST_LIMIT = 200  # entries of one answer; an archive holds more than fits into one


class Histories:
    """Answers /history and /history/ID as ComfyUI does, for all instances of a service and those that
    are gone.
    """

    def __init__(
        self, ledger: JobLedger, upstream: Upstream, watch: RoutingWatch, archiving: Archiving
    ) -> None:
        self._ledger, self._upstream, self._watch = ledger, upstream, watch
        self._archiving = archiving

    async def one(self, exchange: Exchange, route: ServiceRoute, prompt_id: str) -> None:
        """`{id: entry}`, or `{}` while the prompt is unfinished. Raises PromptUnknown, PromptLost."""
        entry, headers = await self.entry(route, prompt_id)
        await exchange.json({} if entry is None else {prompt_id: entry}, headers)

    async def entry(self, route: ServiceRoute, prompt_id: str) -> tuple[dict[str, Any] | None, Headers]:
        """The entry as callers see it. Raises PromptUnknown, PromptLost."""
        job = await self._ledger.find(route.name, prompt_id) if is_prompt_id(prompt_id) else None
        if job is None or job.erased_at is not None:
            raise PromptUnknown(route.name, prompt_id)
        if not job.finished:
            return await self._from_owner(job)
        return await self.archived(job), _headers(job)

    async def archived(self, job: Job) -> dict[str, Any]:
        """The entry of a finished job. Raises PromptLost, PromptExpired."""
        if job.state is JobState.LOST:
            raise PromptLost(job.service, job.prompt_id, job.reason or "Its instance is gone.")
        if job.expired_at is not None:
            raise PromptExpired(job.service, job.prompt_id, job.expired_at)
        entry = await asyncio.to_thread(self._ledger.archive.history, job.service, job.prompt_id)
        return entry_without_run(job) if entry is None else dict(entry)

    async def all(self, exchange: Exchange, route: ServiceRoute) -> None:
        """Finished prompts, oldest first: the newest 200, or `max_items` and `offset` as ComfyUI has them."""
        given = exchange.parameters()
        limit = min(_number(given.get("max_items"), LIST_LIMIT), LIST_LIMIT)
        offset = _number(given["offset"], 0) if "offset" in given else None
        jobs = await self._ledger.ask(queue.finished, route.name, limit, offset)
        await exchange.json({job.prompt_id: await self.archived(job) for job in jobs})

    async def erase(self, exchange: Exchange, route: ServiceRoute) -> None:
        """POST /history: `clear` and `delete` hide finished jobs of this service. Engines hear nothing of it:
        one that forgets a result before it is archived would lose it.
        """
        wish = await wish_of(exchange, route)
        if wish.get("clear"):
            await self._ledger.erase(route.name, None)
        elif named := prompt_ids(wish.get("delete")):
            await self._ledger.erase(route.name, named)
        await exchange.answer(200, b"", "text/plain")

    async def _from_owner(self, job: Job) -> tuple[dict[str, Any] | None, Headers]:
        owner = self._watch.instance(job.service, job.instance_id)
        if owner is None:
            return None, _headers(job)  # about to be submitted again
        try:
            entry = await finished_entry(self._upstream, owner, job.prompt_id)
            if entry is not None:
                await self._secure(job, owner, entry)
        except (InstanceUnreachable, InstanceAnswerBroken) as problem:
            log.warning("owner_silent", instance=owner.id, prompt=job.prompt_id, cause=str(problem))
            return None, _headers(job)
        return (None if entry is None else entry_outside(entry, job.prompt_id)), origin_headers(owner)

    async def _secure(self, job: Job, owner: RouteInstance, entry: dict[str, Any]) -> None:
        """Archive a result before anybody hears of it: its instance may be gone a moment later, and a job
        whose end was seen must not run again. Raises InstanceUnreachable, InstanceAnswerBroken.
        """
        try:
            await self._archiving.archive(job, owner, entry)
        except OSError as problem:  # a full disk: the result itself can still be had, and is not held back
            log.error(
                "result_not_archived", prompt=job.prompt_id, cause=f"{type(problem).__name__}: {problem}"
            )


def _headers(job: Job) -> Headers:
    return [
        (b"x-stillframe-instance", job.instance_id.encode()),
        (b"x-stillframe-snapshot", job.snapshot_id.encode()),
    ]


def _number(text: str | None, default: int) -> int:
    if text is None:
        return default
    if not text.isdecimal():
        raise BadPath(text)
    return int(text)
