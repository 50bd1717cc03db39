"""The web application: routes at `/x` and `/api/x`, plugins' routes and web folders, the frontend."""

from __future__ import annotations

import importlib.util
import logging
from collections.abc import Iterable
from pathlib import Path

from aiohttp import web

from .assembly import Engine
from .doors import doors
from .routes.information import (
    example_folders,
    internal_routes,
    model_routes,
    node_routes,
    plugin_routes,
)
from .routes.jobs import job_routes
from .routes.pictures import picture_routes
from .routes.prompts import history_routes, prompt_routes
from .routes.users import user_routes, userdata_routes

log = logging.getLogger(__name__)

# Pages of the frontend may talk to this engine only: it calls out by itself otherwise.
_CONTENT_POLICY = "connect-src 'self' data: blob: ws: wss:"

_LANDING = """<!doctype html><title>Stillframe engine</title>
<p>This is the builtin engine of Stillframe. It serves ComfyUI's API; see
<a href="/object_info">/object_info</a> and <a href="/system_stats">/system_stats</a>.
Install <code>comfyui-frontend-package</code> for the graph editor.</p>
"""


def build_app(
    engine: Engine,
    plugin_routes_table: Iterable[web.AbstractRouteDef],
    plugin_app: web.Application | None = None,
) -> web.Application:
    """The application of `engine`, with the routes that plugins added to their table and to `plugin_app`."""
    app = web.Application(client_max_size=engine.arguments.max_upload_bytes, middlewares=doors(engine))
    app.router.add_get("/ws", engine.hub.serve)
    app.router.add_get("/api/ws", engine.hub.serve)
    app.add_routes(internal_routes(engine))
    app.add_routes(job_routes(engine))
    for table in (
        prompt_routes(engine),
        history_routes(engine),
        picture_routes(engine),
        node_routes(engine),
        model_routes(engine),
        plugin_routes(engine),
        user_routes(engine),
        userdata_routes(engine),
    ):
        _mount_twice(app, table)
    _mount_plugins(app, plugin_routes_table)
    for resource in plugin_app.router.resources() if plugin_app is not None else ():
        app.router.register_resource(resource)
    _mount_web_folders(app, engine)
    _mount_frontend(app)
    return app


def _mount_twice(app: web.Application, table: Iterable[web.AbstractRouteDef]) -> None:
    for route in table:
        if isinstance(route, web.RouteDef):
            app.router.add_route(route.method, route.path, route.handler, **route.kwargs)
            app.router.add_route(route.method, f"/api{route.path}", route.handler, **route.kwargs)
        else:
            route.register(app.router)


def _mount_plugins(app: web.Application, table: Iterable[web.AbstractRouteDef]) -> None:
    """Plugins' routes one by one: one that cannot be added takes no other down."""
    for route in table:
        try:
            _mount_twice(app, [route])
        except (ValueError, RuntimeError, TypeError) as error:
            log.warning("A plugin's route cannot be added: %s: %s", route, error)


def _mount_web_folders(app: web.Application, engine: Engine) -> None:
    for name, folder in engine.registry.web_directories.items():
        app.router.add_static(f"/extensions/{name}", folder)
    for name, folder in example_folders(engine):
        for prefix in ("", "/api"):
            app.router.add_static(f"{prefix}/workflow_templates/{name}", folder)


def _mount_frontend(app: web.Application) -> None:
    """The packaged frontend where it is installed, else a page that says what this is. Always last."""
    static = _frontend_folder()

    async def index(request: web.Request) -> web.StreamResponse:
        headers = {"Cache-Control": "no-cache", "Content-Security-Policy": _CONTENT_POLICY}
        if static is None:
            return web.Response(text=_LANDING, content_type="text/html", headers=headers)
        return web.FileResponse(static / "index.html", headers=headers)

    app.router.add_get("/", index)
    if static is not None:
        app.router.add_static("/", static)


def _frontend_folder() -> Path | None:
    spec = importlib.util.find_spec("comfyui_frontend_package")
    for place in spec.submodule_search_locations or () if spec else ():
        if (Path(place) / "static" / "index.html").is_file():
            return Path(place) / "static"
    return None
