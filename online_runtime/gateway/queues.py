"""The queue of a service is the queues of its instances put together."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping
from typing import Any, TypeVar

import structlog

from online_runtime.gateway.errors import InstanceAnswerBroken, InstanceUnreachable
from online_runtime.gateway.exchange import Exchange
from online_runtime.gateway.ledger import JobLedger
from online_runtime.gateway.problems import Headers
from online_runtime.gateway.routing import RouteInstance, ServiceRoute
from online_runtime.gateway.upstream import Upstream
from online_runtime.gateway.watch import RoutingWatch
from online_runtime.gateway.whereabouts import queue_of, queue_remaining
from online_runtime.gateway.wishes import prompt_ids, wish_of

log = structlog.get_logger()

INTERRUPTED = "A caller interrupted it; its instance was gone."
DELETED = "A caller deleted it from the queue before it ran."
Answer = TypeVar("Answer")


class Queues:
    """GET /prompt, GET and POST /queue, POST /interrupt. Instances that do not answer are named in a
    header.
    """

    def __init__(self, ledger: JobLedger, upstream: Upstream, watch: RoutingWatch) -> None:
        self._ledger, self._upstream, self._watch = ledger, upstream, watch

    async def remaining(self, exchange: Exchange, route: ServiceRoute) -> None:
        """GET /prompt: how many prompts all instances have."""
        found, silent = await self._all(route, lambda one: queue_remaining(self._upstream, one))
        await exchange.json({"exec_info": {"queue_remaining": sum(found)}}, silent)

    async def listed(self, exchange: Exchange, route: ServiceRoute) -> None:
        """GET /queue: running and pending prompts of all instances."""
        found, silent = await self._all(route, lambda one: self._upstream.ask(one, "/queue"))
        parts = ("queue_running", "queue_pending")
        await exchange.json(
            {part: [item for one in found for item in one.get(part, [])] for part in parts}, silent
        )

    async def executing(self, route: ServiceRoute) -> tuple[Collection[str], Headers]:
        """The prompts that engines execute now, not those that wait there; and who did not answer."""
        found, silent = await self._all(route, lambda one: queue_of(self._upstream, one))
        return {prompt_id for one in found for prompt_id in one.running}, silent

    async def change(self, exchange: Exchange, route: ServiceRoute) -> None:
        """POST /queue: `clear` and `delete` reach the owners. Deleted jobs end as interrupted, and are
        not run again.
        """
        wish = await wish_of(exchange, route)
        pending = await self._pending(route)
        deleted = list(pending) if wish.get("clear") else []
        deleted += prompt_ids(wish.get("delete"))
        if deleted:
            await self._ledger.cancel(route.name, deleted, DELETED)
        for instance in route.instances:
            own = [one for one in deleted if pending.get(one) == instance.id]
            if own:
                await self._upstream.call(instance, "POST", "/queue", {"delete": own})
        await exchange.answer(200, b"", "text/plain")

    async def interrupt(self, exchange: Exchange, route: ServiceRoute) -> None:
        """POST /interrupt: one prompt at its owner, or whatever runs on any instance."""
        wish = await wish_of(exchange, route)
        prompt_id = wish.get("prompt_id")
        if isinstance(prompt_id, str):
            await self._interrupt_one(route, prompt_id, wish)
        else:
            await self._interrupt_all(route, wish)
        await exchange.answer(200, b"", "text/plain")

    async def _interrupt_one(self, route: ServiceRoute, prompt_id: str, wish: Mapping[str, Any]) -> None:
        """At its owner. One whose owner is dead ends as interrupted instead of being submitted again."""
        job = await self._ledger.find(route.name, prompt_id)
        if job is None or job.finished:
            return
        owner = self._watch.instance(route.name, job.instance_id)
        try:
            if owner is not None:
                await self._upstream.call(owner, "POST", "/interrupt", wish)
                return
        except InstanceUnreachable as problem:
            if not problem.refused:
                raise
        log.info("interrupted_without_owner", prompt=prompt_id, instance=job.instance_id)
        await self._ledger.cancel(route.name, [prompt_id], INTERRUPTED)

    async def _interrupt_all(self, route: ServiceRoute, wish: Mapping[str, Any]) -> None:
        """Each instance, whatever the others answer. Raises InstanceUnreachable for one that did not."""
        calls = [self._upstream.call(one, "POST", "/interrupt", wish) for one in route.instances]
        for answer in await asyncio.gather(*calls, return_exceptions=True):
            if isinstance(answer, BaseException):
                raise answer

    async def _pending(self, route: ServiceRoute) -> dict[str, str]:
        """Prompt id -> instance id of everything that waits in an engine's queue."""
        found: dict[str, str] = {}
        for instance in route.instances:
            for item in (await self._upstream.ask(instance, "/queue")).get("queue_pending", []):
                found[item[1]] = instance.id
        return found

    async def _all(
        self, route: ServiceRoute, question: Callable[[RouteInstance], Awaitable[Answer]]
    ) -> tuple[list[Answer], Headers]:
        answers = await asyncio.gather(*(_or_silent(question, one) for one in route.instances))
        silent = [one.id for one, answer in zip(route.instances, answers, strict=True) if answer is None]
        headers: Headers = [(b"x-stillframe-silent", ",".join(silent).encode())] if silent else []
        return [answer for answer in answers if answer is not None], headers


async def _or_silent(
    question: Callable[[RouteInstance], Awaitable[Answer]], instance: RouteInstance
) -> Answer | None:
    try:
        return await question(instance)
    except (InstanceUnreachable, InstanceAnswerBroken) as problem:
        log.warning("instance_silent", instance=instance.id, cause=str(problem))
        return None
