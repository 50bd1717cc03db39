"""The web application: create_app(installation)."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from importlib.metadata import version

from fastapi import APIRouter, Depends, FastAPI
from fastapi.security import HTTPBasic, HTTPBearer
from starlette.exceptions import HTTPException
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Receive, Scope, Send

from web.api import (
    accounts,
    configurations,
    dependencies,
    deployments,
    instances,
    keys,
    metrics,
    models,
    plugins,
    projects,
    services,
    slots,
    snapshot_transfer,
    snapshots,
    tokens,
    workflows,
    workstations,
)
from web.api.answers import answer_errors
from web.api.gate import Gate
from web.api.problems import PROBLEMS
from web.api.signin import SignIn
from web.editor.mounting import add_editor
from web.installation import Installation
from web.pages.console.mount import LazyConsole
from web.pages.static.assets import FOLDER, PREFIX
from web.signin.audit import Audit
from web.signin.page import signin_routes

NOUNS = (
    projects,
    plugins,
    dependencies,
    models,
    workstations,
    workflows,
    snapshot_transfer,
    snapshots,
    deployments,
    services,
    slots,
    configurations,
    tokens,
    instances,
    accounts,
    keys,
)


def create_app(installation: Installation, *, listen: str = "127.0.0.1") -> FastAPI:
    """The application over one home.

    `listen` is one of the names it may be called by, beside the setting `hosts`.
    """
    signin, audit = SignIn(installation), Audit(installation.control)
    console = LazyConsole(installation, signin, audit, lambda: app.openapi())
    app = FastAPI(
        title="Stillframe",
        version=version("stillframe"),
        description="Freeze a workstation into an immutable snapshot and roll it out to online instances.",
        lifespan=_ending(console),
        docs_url=None,  # those pages load scripts from elsewhere; the console has its own
        redoc_url=None,
    )
    app.state.installation = installation
    api = APIRouter(
        prefix="/api/v1",
        dependencies=[Depends(_basic), Depends(_bearer)],
        responses=PROBLEMS,  # for /docs; Gate does it
    )
    for noun in NOUNS:
        api.include_router(noun.router)
    app.include_router(api)
    app.add_api_route("/healthz", healthz, tags=["health"])
    app.include_router(metrics.router)
    add_editor(app, installation.home, signin)
    app.include_router(signin_routes(signin, audit, installation.chosen.door.session_seconds, console.load))
    app.mount(PREFIX, StaticFiles(directory=FOLDER))
    app.router.default = _elsewhere(console)
    answer_errors(app)
    hosts = frozenset({listen, *installation.chosen.door.hosts})
    app.add_middleware(Gate, signin=signin, audit=audit, hosts=hosts)
    return app


_basic = HTTPBasic(
    auto_error=False, description="`admin` and the password that `stillframe up` printed once."
)
_bearer = HTTPBearer(auto_error=False, description="An API key.")


def healthz() -> dict[str, str]:
    """Answers while the web door serves. Needs no sign-in."""
    return {"status": "ok", "version": version("stillframe")}


def _ending(console: LazyConsole) -> Callable[[FastAPI], AbstractAsyncContextManager[None]]:
    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        await console.close()

    return lifespan


def _elsewhere(console: LazyConsole) -> ASGIApp:
    """What no route of the API takes is the console's, but for addresses below /api/, which are nobody's."""

    async def elsewhere(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"].startswith("/api/"):
            raise HTTPException(404)
        await console(scope, receive, send)

    return elsewhere
