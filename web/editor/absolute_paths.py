"""Absolute paths that the frontend and plugins use although they are served under a prefix.

The frontend asks for icons at `/assets/`, plugins import `/scripts/app.js`: the same files for every project.
`/extensions/PACK/` belongs to one project; the Referer says to which.
"""

from __future__ import annotations

import asyncio
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.types import Receive, Scope, Send

from web.editor import place_of
from web.editor.packaged import packaged_file


async def serve(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer one request below one of web.editor.ABSOLUTE."""
    if scope["type"] == "websocket":
        await send({"type": "websocket.close"})  # before it is accepted: a 403
        return
    answer = await asyncio.to_thread(_answer, Request(scope, receive))
    answer.headers["X-Content-Type-Options"] = "nosniff"
    answer.headers["Cache-Control"] = "private, no-cache"
    await answer(scope, receive, send)


def _answer(request: Request) -> Response:
    path = request.scope["path"]
    editor = place_of(urlsplit(request.headers.get("referer", "")).path)
    if path.startswith("/extensions/") and editor is not None:
        return RedirectResponse(request.url.replace(path=editor + path.removeprefix("/")))
    found = packaged_file(request, path)
    return JSONResponse({"error": "There is no such file."}, 404) if found is None else found
