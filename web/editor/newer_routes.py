"""What the frontend asks of its engine, answered also where the engine is older than the question.

The engine is always asked first. A 404 or 405 that is no JSON document says that it does not know the route.
"""

from __future__ import annotations

import json
import time

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from online_runtime.gateway.errors import JobsQueryRefused
from online_runtime.gateway.job_query import read_query
from web.editor import UPLOAD_LIMIT_BYTES, jobs, templates
from web.editor.engine import Engine
from web.editor.errors import TemplateNotFound, UploadTooLarge
from web.editor.passing import ask, let_go, pass_on, tell

USER_STYLE = "/user.css"  # the page asks for it; a user who wrote none has an empty one
TEMPLATES, JOBS, SUBGRAPH = "/templates/", "/jobs", "/global_subgraphs/"
EMPTY_OBJECTS = ("/global_subgraphs", "/node_replacements")  # an engine without the route has none


async def answered(request: Request, engine: Engine, path: str) -> Response:
    """The engine's answer, or ours for a route that it does not have. Raises EngineGone, UploadTooLarge."""
    route = path.removeprefix("/api")
    if request.method == "POST" and route == "/prompt":
        return await pass_on(request, engine, path, _dated(await _whole(request)))
    if not _is_newer(request.method, route):
        return await pass_on(request, engine, path)
    body = await _whole(request) if request.method == "POST" else None
    answer = await pass_on(request, engine, path, body)
    if answer.status_code not in (404, 405) or (_is_json(answer) and not route.endswith(USER_STYLE)):
        return answer
    ours = await _ours(request, engine, route, body or b"")
    if ours is None:
        return answer
    await let_go(answer)
    return ours


def _is_json(answer: Response) -> bool:
    return "json" in answer.headers.get("content-type", "")


def _is_newer(method: str, route: str) -> bool:
    if route.startswith(JOBS) or route in EMPTY_OBJECTS or route.startswith(SUBGRAPH):
        return True
    return method == "GET" and (route.startswith(TEMPLATES) or route.endswith(USER_STYLE))


async def _ours(request: Request, engine: Engine, route: str, body: bytes) -> Response | None:
    if route in EMPTY_OBJECTS:
        return JSONResponse({})
    if route.startswith(SUBGRAPH):
        return JSONResponse(None)
    if route.startswith(TEMPLATES):
        return _template(route.removeprefix(TEMPLATES))
    if route.endswith(USER_STYLE):
        return Response(b"", media_type="text/css")
    return await _of_jobs(request, engine, route, body)


def _template(name: str) -> Response | None:
    """What lies below /templates/ where the engine has none of its own."""
    if name == "index.json":
        return JSONResponse(templates.index())
    if name == "index_logo.json":
        return JSONResponse({})
    if name.endswith("-1.svg"):
        drawn = templates.picture(name.removesuffix("-1.svg"))
        return None if drawn is None else Response(drawn, media_type="image/svg+xml")
    try:
        return Response(templates.workflow(name.removesuffix(".json")), media_type="application/json")
    except TemplateNotFound:
        return None


async def _of_jobs(request: Request, engine: Engine, route: str, body: bytes) -> Response | None:
    words = route.strip("/").split("/")
    match request.method, words:
        case "GET", ["jobs"]:
            return await _listing(request, engine)
        case "GET", ["jobs", job_id]:
            return await _one(engine, job_id)
        case "POST", ["jobs", "cancel"]:
            return await _cancel_many(engine, body)
        case "POST", ["jobs", job_id, "cancel"]:
            return JSONResponse({"cancelled": await _cancel(engine, job_id)})
        case _:
            return None


async def _listing(request: Request, engine: Engine) -> Response:
    try:
        query = read_query(request.query_params)
    except JobsQueryRefused as error:
        return JSONResponse({"error": str(error)}, 400)
    queue, history = await ask(engine, "/queue"), await ask(engine, "/history")
    return JSONResponse(jobs.listing(query, queue, history, _now_ms()))


async def _one(engine: Engine, job_id: str) -> Response:
    queue, history = await ask(engine, "/queue"), await ask(engine, f"/history/{job_id}")
    found = jobs.one(job_id, queue, history, _now_ms())
    return JSONResponse({"error": "Job not found"}, 404) if found is None else JSONResponse(found)


async def _cancel_many(engine: Engine, body: bytes) -> Response:
    try:
        ids = json.loads(body)["job_ids"]
        cancelled = [await _cancel(engine, str(job_id)) for job_id in list(ids)]
    except (ValueError, KeyError, TypeError):
        return JSONResponse({"error": "job_ids: a list of job ids is expected."}, 400)
    return JSONResponse({"cancelled": any(cancelled)})


async def _cancel(engine: Engine, job_id: str) -> bool:
    queue = await ask(engine, "/queue")
    # Waiting first: a prompt may start between the two looks, but it does not go back.
    if jobs.is_waiting(job_id, queue):
        await tell(engine, "/queue", {"delete": [job_id]})
        return True
    if jobs.is_running(job_id, queue):
        await tell(engine, "/interrupt", {"prompt_id": job_id})
        return True
    return False


def _dated(body: bytes) -> bytes:
    """A prompt with the time at which it was sent, which older engines do not note; what is none as it is."""
    try:
        document = json.loads(body)
    except ValueError:
        return body
    if not isinstance(document, dict) or not isinstance(extra := document.get("extra_data", {}), dict):
        return body
    return json.dumps({**document, "extra_data": {"create_time": _now_ms(), **extra}}).encode()


async def _whole(request: Request) -> bytes:
    parts: list[bytes] = []
    size_bytes = 0
    async for chunk in request.stream():
        size_bytes += len(chunk)
        if size_bytes > UPLOAD_LIMIT_BYTES:
            raise UploadTooLarge(UPLOAD_LIMIT_BYTES)
        parts.append(chunk)
    return b"".join(parts)


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
