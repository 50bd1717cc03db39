"""/view: the file of the prompt that its subfolder names, from the archive or its owner; by bare name,
the newest one.
"""

from __future__ import annotations

import asyncio
import re
from urllib.parse import urlencode

from online_runtime.gateway.errors import (
    BadPath,
    FileMissing,
    InstanceUnreachable,
    NoInstance,
    OwnerGone,
    PromptExpired,
    PromptLost,
)
from online_runtime.gateway.exchange import Exchange
from online_runtime.gateway.files import send_file
from online_runtime.gateway.holding import RETRY_AFTER_SECONDS
from online_runtime.gateway.ledger import JobLedger
from online_runtime.gateway.outputs import inside
from online_runtime.gateway.proxy import Forwarding
from online_runtime.gateway.routing import RouteInstance, ServiceRoute
from online_runtime.jobs import queue
from online_runtime.jobs.archive import KINDS
from online_runtime.jobs.errors import OutsideArchive
from online_runtime.jobs.job import ArchivedFile, JobState

ANNOTATED = re.compile(r"(.+) \[(input|output|temp)\]")


class Views:
    """Answers /view for output and temp files. Input files are shared by all instances and simply
    forwarded.
    """

    def __init__(self, ledger: JobLedger, forwarding: Forwarding) -> None:
        self._ledger, self._forwarding = ledger, forwarding

    async def one(self, exchange: Exchange, route: ServiceRoute, path: str) -> None:
        """Send one file. Raises BadPath, FileMissing, PromptLost, OwnerGone, NoInstance and those of
        forwarding.
        """
        given = exchange.parameters()
        filename, kind = given.get("filename", ""), given.get("type", "output")
        if annotated := ANNOTATED.fullmatch(filename):
            filename, kind = annotated.groups()
        if kind not in KINDS:
            await self._forwarding.to_any(exchange, route, path, exchange.query)
            return
        prompt_id, subfolder = inside(given.get("subfolder", ""))
        file = ArchivedFile(kind, subfolder, filename)
        _check(file)
        own = {**given, "filename": filename, "type": kind, "subfolder": subfolder}
        query = urlencode(own)
        if prompt_id is None:
            await self._by_name(exchange, route, file, path, query)
        else:
            await self._of_prompt(exchange, route, prompt_id, file, path, query)

    async def _of_prompt(
        self,
        exchange: Exchange,
        route: ServiceRoute,
        prompt_id: str,
        file: ArchivedFile,
        path: str,
        query: str,
    ) -> None:
        job = await self._ledger.find(route.name, prompt_id)
        if job is None:
            raise FileMissing(route.name, f"{prompt_id}/{file.filename}")
        if job.state is JobState.LOST:
            raise PromptLost(route.name, prompt_id, job.reason or "Its instance is gone.")
        if job.expired_at is not None:
            raise PromptExpired(route.name, prompt_id, job.expired_at)
        owner = _routed(route, job.instance_id)
        converted = "preview" in exchange.parameters() or "channel" in exchange.parameters()
        if owner is not None and (converted or not job.finished):
            await self._forwarding.to(owner, exchange, route, path, query)
            return
        if exchange.parameters().get("channel", "rgba") != "rgba":
            raise OwnerGone("Taking out one channel", prompt_id)
        await self._archived(exchange, route, prompt_id, file)

    async def _archived(
        self, exchange: Exchange, route: ServiceRoute, prompt_id: str, file: ArchivedFile
    ) -> None:
        found = await asyncio.to_thread(self._ledger.archive.file, route.name, prompt_id, file)
        if found is None:
            raise FileMissing(route.name, f"{prompt_id}/{file.filename}")
        await send_file(exchange, found)

    async def _by_name(
        self, exchange: Exchange, route: ServiceRoute, file: ArchivedFile, path: str, query: str
    ) -> None:
        newest = await self._ledger.ask(
            queue.newest_file, route.name, file.kind, file.subfolder, file.filename
        )
        if newest is not None:
            await self._of_prompt(exchange, route, newest, file, path, query)
            return
        if not route.instances:
            raise NoInstance(route.name, RETRY_AFTER_SECONDS)
        unreachable: InstanceUnreachable | None = None
        for instance in route.instances:
            try:
                if await self._forwarding.to(instance, exchange, route, path, query, missing_ok=False):
                    return
            except InstanceUnreachable as problem:
                unreachable = problem  # another one may have it; that it is missing, nobody knows then
        raise unreachable or FileMissing(route.name, file.filename)


def _routed(route: ServiceRoute, instance_id: str) -> RouteInstance | None:
    return next((instance for instance in route.instances if instance.id == instance_id), None)


def _check(file: ArchivedFile) -> None:
    for name in (file.filename, file.subfolder):
        parts = name.replace("\\", "/").split("/")
        if ".." in parts or name.startswith(("/", "\\")) or "\0" in name:
            raise BadPath(name)
    if not file.filename or "/" in file.filename:
        raise OutsideArchive(file.filename)
