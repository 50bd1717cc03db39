"""Long work, told while it goes on: server-sent events `progress`, then `end` with the answer or `problem`.

Only to whoever asks for it by `Accept: text/event-stream`. The work goes on when its caller leaves.
"""

from __future__ import annotations

import asyncio
import json
import queue
import threading
from collections.abc import AsyncIterator, Callable
from typing import Any

from fastapi import Request
from fastapi.responses import StreamingResponse
from starlette.concurrency import run_in_threadpool

from web.plain import plain
from web.problem import problem_of

EVENTS = "text/event-stream"
TOLD_SECONDS = 0.2
LONGEST_SECONDS = 6 * 3600.0

Tell = Callable[[Any], None]
Work = Callable[[Tell], Any]


async def told(request: Request, work: Work) -> Any:
    """What `work` answers; or, to a caller that asks for events, the stream that ends with it."""
    if EVENTS not in request.headers.get("accept", ""):
        return await run_in_threadpool(work, lambda _: None)
    return StreamingResponse(_events(_Telling(work)), media_type=EVENTS)


class _Telling:
    """The work in a thread of its own, with the latest word of it."""

    def __init__(self, work: Work) -> None:
        self._work = work
        self._latest: Any = None
        self._ended: queue.SimpleQueue[tuple[str, Any]] = queue.SimpleQueue()
        threading.Thread(target=self._run, name="told work", daemon=True).start()

    def _run(self) -> None:
        try:
            self._ended.put(("end", self._work(self._tell)))
        except Exception as error:  # noqa: BLE001 - told to the caller, as any other answer would tell it
            self._ended.put(("problem", problem_of(error).as_json()))

    def _tell(self, step: Any) -> None:
        self._latest = step

    def take(self) -> tuple[str, Any] | None:
        """The latest word since the last call, then the end; None without news."""
        latest, self._latest = self._latest, None
        if latest is not None:
            return "progress", latest
        try:
            return self._ended.get_nowait()
        except queue.Empty:
            return None


async def _events(telling: _Telling) -> AsyncIterator[str]:
    loop = asyncio.get_running_loop()
    deadline = loop.time() + LONGEST_SECONDS
    while loop.time() < deadline:
        news = telling.take()
        if news is None:
            await asyncio.sleep(TOLD_SECONDS)
            continue
        kind, data = news
        yield f"event: {kind}\ndata: {json.dumps(plain(data))}\n\n"
        if kind != "progress":
            return
        await asyncio.sleep(TOLD_SECONDS)
