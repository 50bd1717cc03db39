"""The sign-in page: plain HTML, so that it is there before the console is, and without scripts."""

from __future__ import annotations

from collections.abc import Callable
from html import escape
from typing import TYPE_CHECKING
from urllib.parse import parse_qs

from fastapi import APIRouter, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import HTMLResponse, RedirectResponse, Response

from web.errors import CredentialsWrong, TooManyAttempts
from web.pages.console.reader import Reader, reader_of
from web.pages.static.assets import asset
from web.pages.texts import text
from web.signin.audit import DONE, Audit, Deed
from web.signin.cookie import give_cookie, take_cookie

if TYPE_CHECKING:
    from web.api.signin import SignIn

FIRST_PAGE = "/projects"
FORM_LIMIT_BYTES = 16 * 1024


def signin_routes(
    signin: SignIn, audit: Audit, session_seconds: float, expect: Callable[[], object]
) -> APIRouter:
    """`/signin` and `/signout`. `expect` is called when somebody is about to come in."""
    router = APIRouter(include_in_schema=False)

    @router.get("/signin")
    async def show(request: Request) -> Response:
        expect()
        return _page(reader_of(request), request.query_params.get("next", ""))

    @router.post("/signin")
    async def enter(request: Request) -> Response:
        fields = parse_qs((await request.body())[:FORM_LIMIT_BYTES].decode("utf-8", "replace"))
        name, password, back = (fields.get(field, [""])[0] for field in ("name", "password", "next"))
        address = request.client.host if request.client else "unknown"
        deed = Deed(name[:63], "console", address, "account.sign-in", name[:63])
        try:
            session_id = await run_in_threadpool(
                signin.open_session, name, password, address, request.headers.get("user-agent", "")
            )
        except CredentialsWrong:
            await run_in_threadpool(audit.record, deed, "401 credentials-wrong")
            return _page(reader_of(request), back, "signin.wrong", status=401, name=name)
        except TooManyAttempts as error:
            seconds = max(1, round(error.retry_after_seconds))
            page = _page(reader_of(request), back, "signin.wait", status=429, name=name, seconds=seconds)
            page.headers["Retry-After"] = str(seconds)
            return page
        await run_in_threadpool(audit.record, deed, DONE)
        answer = RedirectResponse(_inside(back), 303)
        give_cookie(answer, request.scope, session_id, session_seconds)
        return answer

    @router.post("/signout")
    async def leave(request: Request) -> Response:
        person = request.scope["state"]["person"]
        if person.session:
            await run_in_threadpool(signin.sessions.end, person.session)
        answer = RedirectResponse("/signin", 303)
        take_cookie(answer, request.scope)
        return answer

    return router


def _inside(target: str) -> str:
    """Where to go after the sign-in: a page of this door, never an address of somebody else."""
    plain = target.startswith("/") and not target.startswith(("//", "/\\")) and target.isprintable()
    return target if plain and "\\" not in target else FIRST_PAGE


def _page(
    reader: Reader, back: str, problem: str = "", *, status: int = 200, name: str = "", **fields: object
) -> HTMLResponse:
    def say(key: str, **more: object) -> str:
        return escape(text(key, reader.language, **more))

    alert = (
        f'<div class="sf-card sf-error" role="alert" id="problem">{say(problem, **fields)}</div>'
        if problem
        else ""
    )
    described = ' aria-describedby="problem"' if problem else ""
    return HTMLResponse(
        f"""<!doctype html>
<html lang="{reader.language}">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{say("signin.title")} · Stillframe</title>
<link rel="icon" href="{asset("favicon.svg")}">
<script src="{asset("console.js")}"></script>
<link rel="stylesheet" href="{asset("console.css")}">
</head>
<body class="sf-alone">
<main>
<div class="sf-brand">Stillframe</div>
<h1>{say("signin.title")}</h1>
<p class="sf-quiet">{say("signin.sentence")}</p>
{alert}
<form method="post" action="/signin">
<input type="hidden" name="next" value="{escape(back)}">
<label>{say("signin.name")}
<input name="name" value="{escape(name)}" autocomplete="username" autocapitalize="none"
 required autofocus></label>
<label>{say("signin.password")}
<input name="password" type="password" autocomplete="current-password" required{described}></label>
<button type="submit">{say("signin.enter")}</button>
</form>
<footer>{say("signin.first")} <code class="sf-inline-code">stillframe account new-password</code></footer>
</main>
</body>
</html>
""",
        status,
        headers={"Cache-Control": "no-store"},
    )
