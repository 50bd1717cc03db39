"""POST /prompt: the owner of a prompt is on record before its engine hears of it and before the caller
gets an answer.
"""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime
from typing import Any

import aiohttp
import structlog

from online_runtime.gateway.errors import (
    InstanceAnswerBroken,
    InstanceUnreachable,
    PromptUndecided,
)
from online_runtime.gateway.exchange import Exchange
from online_runtime.gateway.holding import Holding
from online_runtime.gateway.ledger import JobLedger
from online_runtime.gateway.load import Load
from online_runtime.gateway.prompt_body import PromptBody, check_key, read_prompt
from online_runtime.gateway.proxy import origin_headers
from online_runtime.gateway.routing import RouteInstance, ServiceRoute
from online_runtime.gateway.settings import GatewaySettings
from online_runtime.gateway.upstream import Upstream
from online_runtime.jobs.job import Job, JobState, NewJob

log = structlog.get_logger()

LOOK_AGAIN_SECONDS = 0.05


class Prompts:
    """Accepts prompts. A caller that hangs up after sending its body still leaves a job that runs to
    its end.
    """

    def __init__(
        self, settings: GatewaySettings, ledger: JobLedger, upstream: Upstream, holding: Holding, load: Load
    ) -> None:
        self._ledger, self._upstream, self._holding, self._load = ledger, upstream, holding, load
        self._undecided_seconds = settings.undecided_limit_seconds
        self._post_limit = aiohttp.ClientTimeout(
            total=settings.post_limit_seconds, sock_connect=settings.connect_limit_seconds
        )

    async def accept(self, exchange: Exchange, route: ServiceRoute) -> None:
        """Answer one POST /prompt. Raises PromptInvalid, NoInstance, PromptIdTaken,
        IdempotencyKeyReused and others.
        """
        body = await exchange.body(route.max_body_bytes)
        prompt = read_prompt(body)
        key = check_key(exchange.header(b"idempotency-key"))
        search = self._holding.search(route.name)
        while True:
            instance = await search.next()
            with self._load.visit(instance.id), self._ledger.posting(route.name, prompt.prompt_id):
                known = await self._ledger.accept(_new_job(route, instance, prompt, key))
                if known is None:
                    try:
                        await self._submit(exchange, route.name, instance, prompt)
                        return
                    except InstanceUnreachable as problem:
                        log.warning("instance_refused", instance=instance.id, cause=problem.cause)
                        search.refused(instance)
            if known is not None and await self._repeated(exchange, known):
                return

    async def _submit(
        self, exchange: Exchange, service: str, instance: RouteInstance, prompt: PromptBody
    ) -> None:
        """Send a recorded prompt and answer its caller. Raises InstanceUnreachable, with the job forgotten,
        when no byte could be sent: a held call must not look like a job of the instance that it waits for.
        """
        try:
            status, answer = await self._upstream.post(
                instance, "POST", "/prompt", prompt.forwarded, self._post_limit
            )
        except InstanceUnreachable as problem:
            if problem.refused:
                await self._ledger.forget(service, prompt.prompt_id)
                raise
            # The engine may or may not have it. The job is on record: the archivist finds out and settles it.
            log.warning("prompt_undecided", service=service, prompt=prompt.prompt_id, cause=problem.cause)
            await exchange.json({"prompt_id": prompt.prompt_id, "number": 0, "node_errors": {}})
            return
        if status != 200:
            await self._ledger.forget(service, prompt.prompt_id)
        elif not _names(answer, prompt.prompt_id):
            await self._ledger.forget(service, prompt.prompt_id)
            raise InstanceAnswerBroken(instance.id, "/prompt", "another prompt id than the one it was given")
        else:
            self._ledger.running(service, prompt.prompt_id, answer.decode())
        kind = "application/json" if answer[:1] == b"{" else "text/plain"
        await exchange.answer(status, answer, kind, origin_headers(instance))

    async def _repeated(self, exchange: Exchange, known: Job) -> bool:
        """The same call came before: answer the same, run nothing. False: no engine took the first one, so
        this one may try. Raises PromptUndecided.
        """
        deadline = asyncio.get_running_loop().time() + self._undecided_seconds
        while known.state is JobState.WAITING:
            if asyncio.get_running_loop().time() > deadline:
                raise PromptUndecided(known.service, known.prompt_id)
            await asyncio.sleep(LOOK_AGAIN_SECONDS)
            found = await self._ledger.find(known.service, known.prompt_id)
            if found is None:
                return False
            known = found
        if known.answer is not None:
            await exchange.answer(200, known.answer.encode(), "application/json")
        else:
            await exchange.json({"prompt_id": known.prompt_id, "number": 0, "node_errors": {}})
        return True


def _new_job(route: ServiceRoute, instance: RouteInstance, prompt: PromptBody, key: str | None) -> NewJob:
    return NewJob(
        service=route.name,
        prompt_id=prompt.prompt_id,
        instance_id=instance.id,
        snapshot_id=instance.snapshot_id,
        body=prompt.forwarded,
        body_sha256=prompt.sha256,
        accepted_at=datetime.now(UTC),
        client_id=prompt.client_id,
        idempotency_key=key,
        workflow_id=prompt.workflow_id,
    )


def _names(answer: bytes, prompt_id: str) -> bool:
    try:
        document: Any = json.loads(answer)
    except ValueError:
        return False
    return isinstance(document, dict) and document.get("prompt_id") == prompt_id
