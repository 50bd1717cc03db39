"""Errors as the editor's callers read them: the frontend in ComfyUI's shape, a person as a page."""

from __future__ import annotations

from html import escape

from starlette.responses import HTMLResponse, JSONResponse, Response

from web.editor.errors import EngineGone
from web.problem import problem_of
from workstation.errors import WorkstationNotRunning

LOOK_AGAIN_SECONDS = 3
_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{title}</title>
<meta name="viewport" content="width=device-width"><meta name="color-scheme" content="light dark">{refresh}
<style>body{{font:16px/1.5 system-ui,sans-serif;max-width:40rem;margin:4rem auto;padding:0 1rem}}
code{{background:#8882;padding:.1em .3em}}</style></head>
<body><h1>{title}</h1><p>{sentence}</p>{next}</body></html>
"""


def refusal(error: Exception) -> Response:
    """`error` as `POST /prompt` of ComfyUI refuses; the frontend shows its message."""
    problem = problem_of(error)
    told = {"type": problem.type.rpartition(":")[2].replace("-", "_"), "message": problem.detail}
    document = {"error": {**told, "details": "", "extra_info": {}}, "node_errors": {}}
    return JSONResponse(document, problem.status)


def problem_page(error: Exception) -> Response:
    """`error` instead of the editor. A page that waits for an engine looks again by itself."""
    problem = problem_of(error)
    waits = isinstance(error, WorkstationNotRunning | EngineGone)
    page = _PAGE.format(
        title=escape(problem.title),
        sentence=escape(problem.detail),
        refresh=f'<meta http-equiv="refresh" content="{LOOK_AGAIN_SECONDS}">' if waits else "",
        next=_start(error) if isinstance(error, WorkstationNotRunning) else "",
    )
    return HTMLResponse(page, problem.status, headers={"Cache-Control": "no-store"})


def _start(error: WorkstationNotRunning) -> str:
    command = f"stillframe workstation start {error.project}"
    return f"<p><code>{escape(command)}</code></p><p>The editor opens here as soon as it runs.</p>"
