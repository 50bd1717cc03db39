"""Prompts: sending, watching the queue, stopping, and what finished ones gave."""

from __future__ import annotations

import asyncio
import logging

from aiohttp import web

from ..assembly import Engine
from ..errors import PromptRejected
from ..prompt_queue import FreeRequest
from ..submission import USAGE_HEADER, Submission
from .answers import done, optional_json


def prompt_routes(engine: Engine) -> web.RouteTableDef:
    """/prompt, /queue, /interrupt and /free."""
    routes = web.RouteTableDef()

    @routes.get("/prompt")
    async def remaining(request: web.Request) -> web.Response:
        return web.json_response({"exec_info": {"queue_remaining": engine.queue.remaining()}})

    @routes.post("/prompt")
    async def submit(request: web.Request) -> web.Response:
        body = engine.hooks.on_prompt(await request.json())
        try:
            submission = Submission.read(body, engine.numbering, request.headers.get(USAGE_HEADER))
            # In a thread: validation calls plugins' code and lists folders.
            item, node_errors = await asyncio.to_thread(submission.accept, engine.registry, engine.paths)
        except PromptRejected as error:
            logging.getLogger(__name__).warning("invalid prompt: %s: %s", error.type, error)
            refused = {"error": error.as_json(), "node_errors": dict(error.node_errors)}
            return web.json_response(refused, status=400)
        if engine.worker.stopping:
            why = {"type": "shutting_down", "message": "The engine is stopping; send the prompt elsewhere."}
            return web.json_response({"error": why, "node_errors": {}}, status=503)
        engine.queue.put(item)
        answer = {"prompt_id": item.prompt_id, "number": item.number, "node_errors": node_errors}
        return web.json_response(answer)

    @routes.get("/queue")
    async def queue(request: web.Request) -> web.Response:
        running, pending = engine.queue.snapshot()
        return web.json_response(
            {
                "queue_running": [item.as_json() for item in running],
                "queue_pending": [item.as_json() for item in pending],
            }
        )

    @routes.post("/queue")
    async def change_queue(request: web.Request) -> web.Response:
        body = await request.json()
        if body.get("clear"):
            engine.queue.clear()
        for prompt_id in body.get("delete", []):
            engine.queue.delete(prompt_id)
        return done()

    @routes.post("/interrupt")
    async def interrupt(request: web.Request) -> web.Response:
        engine.interruption.request((await optional_json(request)).get("prompt_id"))
        return done()

    @routes.post("/free")
    async def free(request: web.Request) -> web.Response:
        body = await request.json()
        wanted = FreeRequest(bool(body.get("unload_models")), bool(body.get("free_memory")))
        if wanted:
            engine.queue.request_free(wanted)
        return done()

    return routes


def history_routes(engine: Engine) -> web.RouteTableDef:
    """/history."""
    routes = web.RouteTableDef()

    @routes.get("/history")
    async def history(request: web.Request) -> web.Response:
        max_items = int(request.query["max_items"]) if "max_items" in request.query else None
        offset = int(request.query.get("offset", "-1"))
        entries = engine.history.list(max_items, offset)
        return web.json_response({entry.item.prompt_id: entry.as_json() for entry in entries})

    @routes.get("/history/{prompt_id}")
    async def one(request: web.Request) -> web.Response:
        entry = engine.history.get(request.match_info["prompt_id"])
        return web.json_response({entry.item.prompt_id: entry.as_json()} if entry else {})

    @routes.post("/history")
    async def forget(request: web.Request) -> web.Response:
        body = await request.json()
        if body.get("clear"):
            engine.history.clear()
        for prompt_id in body.get("delete", []):
            engine.history.delete(prompt_id)
        return done()

    return routes
