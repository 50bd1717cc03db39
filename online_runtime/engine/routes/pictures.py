"""Files of prompts: showing and uploading."""

from __future__ import annotations

import asyncio
import json
import mimetypes
from pathlib import Path
from typing import Any

from aiohttp import web

from .. import files
from ..assembly import Engine
from ..errors import BadRequest, PathOutside

# What a browser would run as a page of this origin is only ever downloaded.
_ACTIVE = ("text/html", "text/javascript", "application/javascript", "text/css", "image/svg+xml")
_ACTIVE_SUFFIXES = (".html", ".htm", ".js", ".mjs", ".css", ".svg", ".xml", ".xhtml")


def picture_routes(engine: Engine) -> web.RouteTableDef:
    """/view, /view_metadata and /upload."""
    routes = web.RouteTableDef()

    @routes.get("/view")
    async def view(request: web.Request) -> web.StreamResponse:
        query = request.query
        if not query.get("filename"):
            return web.Response(status=404)
        path = await asyncio.to_thread(
            files.viewed,
            engine.folders,
            query["filename"],
            query.get("type", "output"),
            query.get("subfolder", ""),
        )
        headers = {"Content-Disposition": f'filename="{_quoted(path.name)}"'}
        if "preview" in query:
            mime, body = await asyncio.to_thread(files.reencoded, path, query["preview"])
            return web.Response(body=body, content_type=mime, headers=headers)
        channel = query.get("channel", "rgba")
        if channel in ("rgb", "a"):
            body = await asyncio.to_thread(files.channel_as_png, path, channel)
            return web.Response(body=body, content_type="image/png", headers=headers)
        return web.FileResponse(path, headers=headers | _content_type(path))

    @routes.get("/view_metadata/{folder}")
    async def metadata(request: web.Request) -> web.Response:
        name = request.query.get("filename", "")
        if not name.endswith(".safetensors"):
            return web.Response(status=404)
        path = await asyncio.to_thread(engine.folders.path, request.match_info["folder"], name)
        found = await asyncio.to_thread(files.safetensors_metadata, path)
        return web.Response(status=404) if found is None else web.json_response(found)

    @routes.post("/upload/image")
    async def upload_image(request: web.Request) -> web.Response:
        form = await request.post()
        return web.json_response(await _stored(engine, form, files.store_upload))

    @routes.post("/upload/mask")
    async def upload_mask(request: web.Request) -> web.Response:
        form = await request.post()
        try:
            original = json.loads(str(form.get("original_ref", "")))
        except ValueError as error:
            raise BadRequest("original_ref", f"it is not JSON: {error}.") from error
        if not isinstance(original, dict):
            raise BadRequest("original_ref", "it is not an object with a filename.")
        return web.json_response(await _stored(engine, form, files.store_mask, original))

    return routes


async def _stored(engine: Engine, form: Any, store: Any, *more: Any) -> dict[str, str]:
    """Run `store` on the uploaded file in a thread. Raises BadRequest."""
    image = form.get("image")
    if not isinstance(image, web.FileField):
        raise BadRequest("upload", "the form has no file named image.")
    upload = {
        "filename": image.filename or "",
        "type": str(form.get("type", "input")),
        "subfolder": str(form.get("subfolder", "")),
        "overwrite": str(form.get("overwrite", "")) in ("true", "1"),
    }
    try:
        stored: dict[str, str] = await asyncio.to_thread(store, engine.folders, image.file, *more, **upload)
    except PathOutside as error:  # here ComfyUI says 400, elsewhere 403
        raise BadRequest("upload", str(error)) from error
    return stored


def _content_type(path: Path) -> dict[str, str]:
    mime = mimetypes.guess_type(path.name)[0] or "application/octet-stream"
    if mime in _ACTIVE or path.suffix.lower() in _ACTIVE_SUFFIXES:
        return {
            "Content-Type": "application/octet-stream",
            "Content-Disposition": f'attachment; filename="{_quoted(path.name)}"',
            "X-Content-Type-Options": "nosniff",
        }
    return {"Content-Type": mime}


def _quoted(name: str) -> str:
    """A file name that cannot end its quotes or its header."""
    return "".join(c for c in name if c.isprintable()).replace("\\", "\\\\").replace('"', '\\"')
