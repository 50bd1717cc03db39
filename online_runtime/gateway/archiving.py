"""Archiving one finished prompt: every file that its history entry names, then the entry, then the
job's end.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import AbstractContextManager, asynccontextmanager
from typing import IO, Any
from urllib.parse import urlencode

import aiohttp
import structlog

from online_runtime.gateway.entries import end_of
from online_runtime.gateway.errors import InstanceAnswerBroken
from online_runtime.gateway.job_summary import summary_of
from online_runtime.gateway.ledger import JobLedger
from online_runtime.gateway.outputs import entry_outside, named_files
from online_runtime.gateway.routing import RouteInstance
from online_runtime.gateway.upstream import Upstream, unreachable, url_of
from online_runtime.jobs.errors import OutsideArchive
from online_runtime.jobs.job import ArchivedFile, Job

log = structlog.get_logger()

CHUNK_BYTES = 1024 * 1024
READ_LIMIT_SECONDS = 60.0  # without a byte for this long, an instance is not sending any more


class Archiving:
    """Repeatable: archiving a prompt again writes the same files by rename."""

    def __init__(self, ledger: JobLedger, upstream: Upstream) -> None:
        self._ledger, self._upstream = ledger, upstream
        self._at_work: dict[tuple[str, str], asyncio.Task[None]] = {}

    async def archive(self, job: Job, instance: RouteInstance, entry: dict[str, Any]) -> None:
        """Joins whoever archives the same prompt already, and goes on when its caller does not.

        Raises InstanceUnreachable, InstanceAnswerBroken or OSError; the job then stays unfinished.
        """
        key = (job.service, job.prompt_id)
        work = self._at_work.get(key)
        if work is None:
            work = asyncio.create_task(self._archive(job, instance, entry), name=f"archive {job.prompt_id}")
            self._at_work[key] = work
            work.add_done_callback(lambda done: self._ended(key, done))
        await asyncio.shield(work)

    def _ended(self, key: tuple[str, str], work: asyncio.Task[None]) -> None:
        self._at_work.pop(key, None)
        if not work.cancelled() and (problem := work.exception()) is not None:
            log.error("archive_failed", prompt=key[1], cause=f"{type(problem).__name__}: {problem}")

    async def _archive(self, job: Job, instance: RouteInstance, entry: dict[str, Any]) -> None:
        state, reason = end_of(entry)
        kept: list[ArchivedFile] = []
        missing: list[ArchivedFile] = []
        for file in dict.fromkeys(named_files(entry.get("outputs", {}))):
            problem = await self._keep(job, instance, file)
            (kept if problem is None else missing).append(file)
            if problem is not None:
                log.error("file_not_archived", prompt=job.prompt_id, file=file.filename, cause=problem)
        if missing:
            names = ", ".join(file.filename for file in missing)
            reason = f"{reason + ' ' if reason else ''}Not archived, the instance did not have them: {names}."
        archive = self._ledger.archive
        outside = entry_outside(entry, job.prompt_id)
        await asyncio.to_thread(archive.write_result, job.service, job.prompt_id, outside)
        await self._ledger.finish(job, state, reason, kept, summary_of(outside))

    async def _keep(self, job: Job, instance: RouteInstance, file: ArchivedFile) -> str | None:
        """Copy one file; returns why it cannot be had, None when it was copied."""
        query = urlencode({"filename": file.filename, "subfolder": file.subfolder, "type": file.kind})
        limit = aiohttp.ClientTimeout(total=None, sock_read=READ_LIMIT_SECONDS)
        try:
            self._ledger.archive.place(job.service, job.prompt_id, file)
            async with self._upstream.session.get(url_of(instance, "/view", query), timeout=limit) as answer:
                if 400 <= answer.status < 500:
                    return f"status {answer.status}"
                if answer.status != 200:
                    raise InstanceAnswerBroken(instance.id, "/view", f"status {answer.status}")
                writing = self._ledger.archive.writing(job.service, job.prompt_id, file)
                async with _in_thread(writing) as stream:
                    await _copy(answer, stream)
        except OutsideArchive as refusal:
            return str(refusal)
        except (aiohttp.ClientError, TimeoutError) as problem:
            raise unreachable(instance, problem) from problem
        return None


async def _copy(answer: aiohttp.ClientResponse, stream: IO[bytes]) -> None:
    async for chunk in answer.content.iter_chunked(CHUNK_BYTES):
        await asyncio.to_thread(stream.write, chunk)


@asynccontextmanager
async def _in_thread(blocking: AbstractContextManager[IO[bytes]]) -> AsyncIterator[IO[bytes]]:
    """Enter and leave a context that waits for the disk without holding up the event loop."""
    stream = await asyncio.to_thread(blocking.__enter__)
    try:
        yield stream
    except BaseException:
        await asyncio.to_thread(blocking.__exit__, *sys.exc_info())
        raise
    await asyncio.to_thread(blocking.__exit__, None, None, None)
