"""The user's settings and files."""

from __future__ import annotations

import asyncio
from typing import Any

from aiohttp import web

from ..assembly import Engine
from ..errors import FileMissing
from ..files import write_whole
from .answers import done


def user_routes(engine: Engine) -> web.RouteTableDef:
    """/users and /settings."""
    routes = web.RouteTableDef()
    users = engine.users

    @routes.get("/users")
    async def known(request: web.Request) -> web.Response:
        return web.json_response({"storage": "server", "migrated": users.root.is_dir()})

    @routes.post("/users")
    async def add(request: web.Request) -> web.Response:
        body = await request.json()
        return web.json_response(await asyncio.to_thread(users.add_user, str(body.get("username", ""))))

    @routes.get("/settings")
    async def settings(request: web.Request) -> web.Response:
        return web.json_response(await asyncio.to_thread(users.settings))

    @routes.get("/settings/{name}")
    async def setting(request: web.Request) -> web.Response:
        found = await asyncio.to_thread(users.settings)
        return web.json_response(found.get(request.match_info["name"]))

    @routes.post("/settings")
    async def merge(request: web.Request) -> web.Response:
        await asyncio.to_thread(users.merge_settings, await request.json())
        return done()

    @routes.post("/settings/{name}")
    async def store(request: web.Request) -> web.Response:
        await asyncio.to_thread(users.merge_settings, {request.match_info["name"]: await request.json()})
        return done()

    return routes


def userdata_routes(engine: Engine) -> web.RouteTableDef:
    """/userdata and /v2/userdata. A file's path is one URL segment, its slashes written %2F."""
    routes = web.RouteTableDef()
    users = engine.users

    @routes.get("/userdata")
    async def listing(request: web.Request) -> web.Response:
        directory = request.query.get("dir", "")
        if not directory:
            return web.Response(status=400, text="Directory not provided")
        recurse = request.query.get("recurse", "").lower() == "true"
        found = await asyncio.to_thread(users.files, directory, recurse)
        if request.query.get("full_info", "").lower() == "true":
            return web.json_response([users.information(path) | {"path": name} for name, path in found])
        if request.query.get("split", "").lower() == "true":
            return web.json_response([[name, *name.split("/")] for name, _ in found])
        return web.json_response([name for name, _ in found])

    @routes.get("/v2/userdata")
    async def entries(request: web.Request) -> web.Response:
        return web.json_response(await asyncio.to_thread(users.entries, request.query.get("path", "")))

    @routes.get("/userdata/{file}")
    async def read(request: web.Request) -> web.StreamResponse:
        return web.FileResponse(users.existing(request.match_info["file"]))

    @routes.post("/userdata/{file}")
    async def write(request: web.Request) -> web.Response:
        path = users.path(request.match_info["file"])
        if path.exists() and not _may_overwrite(request):
            return web.Response(status=409, text="File already exists")
        await asyncio.to_thread(write_whole, path, await request.read())
        return web.json_response(_about(engine, request, path))

    @routes.delete("/userdata/{file}")
    async def delete(request: web.Request) -> web.Response:
        users.existing(request.match_info["file"]).unlink()
        return web.Response(status=204)

    @routes.post("/userdata/{file}/move/{dest}")
    async def move(request: web.Request) -> web.Response:
        source = users.existing(request.match_info["file"])
        destination = users.path(request.match_info["dest"])
        if destination.exists() and not _may_overwrite(request):
            return web.Response(status=409, text="File already exists")
        if destination.is_dir():
            raise FileMissing(request.match_info["dest"], "the user's files")
        destination.parent.mkdir(parents=True, exist_ok=True)
        source.replace(destination)
        return web.json_response(_about(engine, request, destination))

    return routes


def _may_overwrite(request: web.Request) -> bool:
    return request.query.get("overwrite", "true").lower() != "false"


def _about(engine: Engine, request: web.Request, path: Any) -> Any:
    if request.query.get("full_info", "").lower() == "true":
        return engine.users.information(path)
    return path.relative_to(engine.users.root).as_posix()
