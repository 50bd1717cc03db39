"""Shapes of answers that several routes share, and what an engine error is in HTTP."""

from __future__ import annotations

from typing import Any

from aiohttp import web

from ..errors import BadRequest, EngineError, FileMissing, ModelMissing, PathOutside, UnknownFolder

_STATUS: dict[type[EngineError], int] = {
    BadRequest: 400,
    PathOutside: 403,
    FileMissing: 404,
    ModelMissing: 404,
    UnknownFolder: 404,
}


def done() -> web.Response:
    """The empty 200 of requests that only change something."""
    return web.Response(status=200)


def refusal(error: EngineError) -> web.Response | None:
    """The answer to an error that the caller caused; None for one that they did not."""
    status = _STATUS.get(type(error))
    return None if status is None else web.json_response({"error": str(error)}, status=status)


async def optional_json(request: web.Request) -> dict[str, Any]:
    """The JSON object of a request whose body may be missing; {} then. ValueError when it is not JSON."""
    if not (await request.read()).strip():
        return {}
    body = await request.json()
    return body if isinstance(body, dict) else {}
