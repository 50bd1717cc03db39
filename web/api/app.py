"""The web application: create_app(installation)."""

from __future__ import annotations

from importlib.metadata import version

from fastapi import APIRouter, Depends, FastAPI
from fastapi.responses import HTMLResponse
from fastapi.security import HTTPBasic, HTTPBearer

from web.api import (
    dependencies,
    deployments,
    instances,
    keys,
    models,
    plugins,
    projects,
    services,
    snapshot_transfer,
    snapshots,
    tokens,
    workstations,
)
from web.api.answers import answer_errors
from web.api.gate import Gate
from web.api.problems import PROBLEMS
from web.api.signin import SignIn
from web.editor.mounting import add_editor
from web.installation import Installation

NOUNS = (
    projects,
    plugins,
    dependencies,
    models,
    workstations,
    snapshot_transfer,
    snapshots,
    deployments,
    services,
    tokens,
    instances,
    keys,
)


def create_app(installation: Installation, *, listen: str = "127.0.0.1") -> FastAPI:
    """The application over one home.

    `listen` is one of the names it may be called by, beside the setting `hosts`.
    """
    app = FastAPI(
        title="Stillframe",
        version=version("stillframe"),
        description="Freeze a workstation into an immutable snapshot and roll it out to online instances.",
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
    app.add_api_route("/", front, response_class=HTMLResponse, include_in_schema=False)
    app.add_api_route("/healthz", healthz, tags=["health"])
    add_editor(app, installation.home)
    answer_errors(app)
    hosts = frozenset({listen, *installation.chosen.door.hosts})
    app.add_middleware(Gate, signin=SignIn(installation), hosts=hosts)
    return app


_basic = HTTPBasic(
    auto_error=False, description="`admin` and the password that `stillframe up` printed once."
)
_bearer = HTTPBearer(auto_error=False, description="An API key.")


def healthz() -> dict[str, str]:
    """Answers while the web door serves. Needs no sign-in."""
    return {"status": "ok", "version": version("stillframe")}


def front() -> str:
    """A page that says what is here."""
    return FRONT


FRONT = """<!doctype html>
<html lang="en"><meta charset="utf-8"><title>Stillframe</title>
<meta name="viewport" content="width=device-width">
<style>body{font:16px/1.5 system-ui,sans-serif;max-width:44rem;margin:4rem auto;padding:0
1rem}code{background:#8882;padding:.1em .3em}</style>
<h1>Stillframe</h1>
<p>A developer's workstation is frozen into an immutable snapshot and rolled out to online instances.</p>
<ul>
<li><a href="/docs">/docs</a>: the REST API, to read and to try. Sign in as <code>admin</code>.</li>
<li><a href="/openapi.json">/openapi.json</a>: the same for programs.</li>
<li><a href="/healthz">/healthz</a>: whether this door serves.</li>
</ul>
<p>At the command line: <code>stillframe --help</code>, <code>stillframe deploy PROJECT</code>.</p>
</html>
"""
