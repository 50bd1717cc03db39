"""The jobs API: /api/jobs only, not /jobs."""

from __future__ import annotations

import uuid
from typing import Any

from aiohttp import web

from .. import jobs
from ..assembly import Engine
from ..errors import BadRequest


def job_routes(engine: Engine) -> web.RouteTableDef:
    """Listing, showing and cancelling."""
    routes = web.RouteTableDef()

    @routes.get("/api/jobs")
    async def listed(request: web.Request) -> web.Response:
        query = jobs.JobQuery.parse(request.query)
        return web.json_response(jobs.select(query, *engine.queue.snapshot(), engine.history.list()))

    @routes.post("/api/jobs/cancel")
    async def cancel_many(request: web.Request) -> web.Response:
        ids = _job_ids(await request.json())
        cancelled = [job_id for job_id in ids if _cancel(engine, job_id)]
        return web.json_response({"cancelled": bool(cancelled)})

    @routes.get("/api/jobs/{job_id}")
    async def one(request: web.Request) -> web.Response:
        job_id = request.match_info["job_id"]
        job = jobs.find(job_id, *engine.queue.snapshot(), engine.history.get(job_id))
        if job is None:
            return web.json_response({"error": "Job not found"}, status=404)
        return web.json_response(job)

    @routes.post("/api/jobs/{job_id}/cancel")
    async def cancel(request: web.Request) -> web.Response:
        return web.json_response({"cancelled": _cancel(engine, request.match_info["job_id"])})

    return routes


def _cancel(engine: Engine, job_id: str) -> bool:
    # Waiting first: a prompt may start between the two looks, but it does not go back.
    return engine.queue.delete(job_id) or engine.interruption.request(job_id)


def _job_ids(body: Any) -> list[str]:
    ids = body.get("job_ids") if isinstance(body, dict) else None
    if not isinstance(ids, list):
        raise BadRequest("job_ids", "a list of job ids is expected.")
    for job_id in ids:
        try:
            uuid.UUID(job_id)
        except (ValueError, AttributeError, TypeError) as error:
            raise BadRequest("job_ids", f"{job_id!r} is not a UUID.") from error
    return ids
