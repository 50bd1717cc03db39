"""The ASGI application behind /projects/NAME/editor/."""

from __future__ import annotations

import asyncio
import re

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

from web.api.signin import SignIn
from web.editor import policy
from web.editor.answers import problem_page, refusal
from web.editor.engine import running_engine
from web.editor.frontend import read_page
from web.editor.newer_routes import answered
from web.editor.packaged import packaged_file
from web.editor.sockets import Sockets
from web.errors import CredentialsWrong, OriginRefused, WebError
from web.signin.rights import allows, right_for
from workstation.errors import WorkstationError
from workstation.layout import Home

SOCKET_PATHS = ("/ws", "/api/ws")
PAGE_PATHS = ("/", "/index.html")
_HOST = re.compile(r"[A-Za-z0-9.:\[\]-]+")


class Editor:
    """Serves the editors of all projects of one home."""

    def __init__(self, home: Home, signin: SignIn) -> None:
        self._home, self._signin = home, signin
        self._sockets = Sockets(self._may_stay)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        project, prefix, path = _place(scope)
        if scope["type"] == "websocket":
            await self._socket(scope, receive, send, project, path)
            return
        try:
            answer = await self._answer(Request(scope, receive), project, prefix, path)
        except (WebError, WorkstationError) as error:
            answer = problem_page(error) if path in PAGE_PATHS else refusal(error)
        # Never the policy that an engine's or a plugin's answer brings along.
        own = answer.policy if isinstance(answer, _PageAnswer) else _policy_of(scope, prefix, path)
        await answer(scope, receive, _guarding(send, own))

    async def _answer(self, request: Request, project: str, prefix: str, path: str) -> Response:
        if request.method in ("GET", "HEAD"):
            if path in PAGE_PATHS:
                return await asyncio.to_thread(self._page, request, project, prefix)
            found = await asyncio.to_thread(packaged_file, request, path)
            if found is not None:
                return found
        engine = await asyncio.to_thread(running_engine, self._home, project)
        return await answered(request, engine, path)

    def _page(self, request: Request, project: str, prefix: str) -> Response:
        running_engine(self._home, project)
        page = read_page()
        return _PageAnswer(page.html, policy.page_policy(_host(request.scope), prefix, page.scripts))

    def _may_stay(self, scope: Scope) -> bool:
        try:
            person = self._signin.still(scope["state"]["person"], asking=False)
        except CredentialsWrong:
            return False
        return allows(person.role, right_for("GET", scope["path"]).role)

    async def _socket(self, scope: Scope, receive: Receive, send: Send, project: str, path: str) -> None:
        try:
            if path not in SOCKET_PATHS:
                await send({"type": "websocket.close"})  # before it is accepted: a 403
                return
            engine = await asyncio.to_thread(running_engine, self._home, project)
            await self._sockets.serve(scope, receive, send, engine)
        except (WebError, WorkstationError) as error:
            await refusal(error)(scope, receive, send)


class _PageAnswer(Response):
    """The editor's page, which alone may run the scripts that stand in it."""

    def __init__(self, html: bytes, page_policy: str) -> None:
        super().__init__(html, media_type="text/html", headers={"Cache-Control": "no-cache"})
        self.policy = page_policy


def _place(scope: Scope) -> tuple[str, str, str]:
    """Project, prefix with its slash, and the path behind it, percent-encoded as the browser sent it."""
    raw = scope.get("raw_path") or scope["path"].encode()
    _, projects, project, editor, *rest = raw.decode("latin-1").split("/")
    return project, f"/{projects}/{project}/{editor}/", "/" + "/".join(rest)


def _policy_of(scope: Scope, prefix: str, path: str) -> str:
    """Of everything but the page. Workers and frames have the policy of their own answer."""
    if path.removeprefix("/api").startswith(policy.FILE_ROUTES):
        return policy.FILE_POLICY
    return policy.page_policy(_host(scope), prefix, ())


def _host(scope: Scope) -> str:
    host = Headers(scope=scope).get("host", "")
    if not _HOST.fullmatch(host):
        raise OriginRefused("Host", host)
    return host


def _guarding(send: Send, policy_text: str) -> Send:
    async def guarding(message: Message) -> None:
        if message["type"] == "http.response.start":
            message = {**message, "headers": policy.guarded(message["headers"], policy_text)}
        await send(message)

    return guarding
