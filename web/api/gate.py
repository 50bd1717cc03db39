"""What stands before everything the web door serves, calls and websockets alike.

Right Host, right Origin, a body within the limit, somebody who signed in, and whose role allows it. What
changes something is written to the audit log with how it ended.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from urllib.parse import quote, urlsplit

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from web.api.answers import problem_response
from web.api.person import Person
from web.api.signin import SignIn
from web.editor import UPLOAD_LIMIT_BYTES
from web.errors import BodyTooLarge, CredentialsWrong, NotAllowed, OriginRefused, WebError
from web.problem import problem_of
from web.signin.audit import DONE, Audit, Deed
from web.signin.cookie import session_in
from web.signin.headers import protect
from web.signin.rights import READING, Right, allows, right_for

BODY_LIMIT_BYTES = 32 * 1024 * 1024
MODEL_FILES = "/api/v1/models/files/"
MODEL_PART_LIMIT_BYTES = 1024**3  # written as it comes; larger models come in parts
# Say nothing about the platform's content: whether it serves, the sign-in page, and files of our packages.
OPEN = re.compile(
    r"/healthz|/readyz|/signin|/favicon\.ico|/console/[\w.]+"
    r"|/_nicegui/\d[^/]*/(static|components|libraries|esm|resources)/.*"
)
EDITOR = re.compile(r"/projects/[^/]+/editor/")
LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})


class Gate:
    """Wraps the application. A call that may not pass is answered here, before its body is read."""

    def __init__(self, app: ASGIApp, *, signin: SignIn, audit: Audit, hosts: frozenset[str]) -> None:
        self.app, self._signin, self._audit, self._hosts = app, signin, audit, hosts | LOOPBACK

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self.app(scope, receive, send)
            return
        if scope["type"] == "http":
            send = _protected(send, Headers(scope=scope).get("host", ""))
        right = right_for(scope.get("method", "GET"), scope["path"])
        try:
            _check_headers(scope, self._hosts)
            person = None if _is_open(scope) else await run_in_threadpool(self._person, scope)
            if person is not None:
                await self._check_role(scope, person, right)
        except WebError as error:
            await _refuse(error, scope, receive, send)
            return
        if scope["type"] == "http":
            receive = _limited(receive, _limit_of(scope))
        if person is None or right.action is None or scope["type"] != "http":
            await self.app(scope, receive, send)
        else:
            await self._recorded(_deed(scope, person, right.action), scope, receive, send)

    def _person(self, scope: Scope) -> Person:
        headers = Headers(scope=scope)
        authorization = headers.get("authorization", "")
        session_id = None if authorization else session_in(scope)
        if session_id is None:
            person = self._signin.person(authorization, _address(scope))
        else:
            found = self._signin.by_session(session_id)
            if found is None:
                raise CredentialsWrong
            _check_own_page(scope, headers)
            person = found
        scope.setdefault("state", {})["person"] = person
        return person

    async def _check_role(self, scope: Scope, person: Person, right: Right) -> None:
        if allows(person.role, right.role):
            return
        action = right.action or f"{scope.get('method', 'GET')} {scope['path']}"
        refused = NotAllowed(person.name, person.role, right.role, action)
        await run_in_threadpool(self._audit.record, _deed(scope, person, action), outcome_of(refused))
        raise refused

    async def _recorded(self, deed: Deed, scope: Scope, receive: Receive, send: Send) -> None:
        heard = _Outcome(send)
        try:
            await self.app(scope, receive, heard)
        finally:
            await run_in_threadpool(self._audit.record, deed, heard.words)


def outcome_of(error: BaseException) -> str:
    """An error as the audit log names it."""
    problem = problem_of(error)
    return f"{problem.status} {problem.type.rpartition(':')[2]}"


class _Outcome:
    """Passes an answer on, and keeps how it ended."""

    def __init__(self, send: Send) -> None:
        self._send, self._status, self._body = send, 0, b""

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._status = message["status"]
        elif message["type"] == "http.response.body" and self._status >= 400 and not self._body:
            self._body = message.get("body", b"")
        await self._send(message)

    @property
    def words(self) -> str:
        if self._status == 0:
            return "500 no answer"
        if self._status < 400:
            return DONE
        try:
            problem: object = json.loads(self._body)
        except ValueError:
            problem = None
        kind = str(problem.get("type", "")) if isinstance(problem, Mapping) else ""
        return f"{self._status} {kind.rpartition(':')[2]}".strip()


def _check_headers(scope: Scope, hosts: frozenset[str]) -> None:
    headers = Headers(scope=scope)
    if _hostname(headers.get("host", "")) not in hosts:
        raise OriginRefused("Host", headers.get("host", ""))
    origin = headers.get("origin")
    if origin is not None and urlsplit(origin).netloc != headers.get("host"):
        raise OriginRefused("Origin", origin)
    if int(headers.get("content-length") or 0) > _limit_of(scope):
        raise BodyTooLarge(_limit_of(scope))


def _check_own_page(scope: Scope, headers: Headers) -> None:
    """A cookie comes along by itself: what changes something, or a websocket, must come from our own
    pages.
    """
    if scope["type"] == "http" and scope["method"] in READING:
        return
    site = headers.get("sec-fetch-site")
    if site is not None and site != "same-origin":
        raise OriginRefused("Sec-Fetch-Site", site)
    if site is None and headers.get("origin") is None:  # an Origin that is there was found to be ours
        raise OriginRefused("Origin", "none")


async def _refuse(error: WebError, scope: Scope, receive: Receive, send: Send) -> None:
    await _refusal(error, scope)(scope, receive, send)


def _refusal(error: WebError, scope: Scope) -> Response:
    headers = Headers(scope=scope)
    if isinstance(error, CredentialsWrong) and _is_visit(scope, headers):
        query = scope.get("query_string", b"").decode("latin-1")
        back = scope["path"] + (f"?{query}" if query else "")
        return RedirectResponse("/signin" + (f"?next={quote(back, safe='/')}" if back != "/" else ""), 303)
    answer = problem_response(error)
    if "sec-fetch-site" in headers and "www-authenticate" in answer.headers:
        del answer.headers["www-authenticate"]  # a page that asks in the background must not raise a dialog
    return answer


def _is_visit(scope: Scope, headers: Headers) -> bool:
    """Whether a person goes to a page with a browser, and not a program to the API."""
    reads = scope.get("method") == "GET" and not scope["path"].startswith("/api/")
    asks = headers.get("sec-fetch-mode", "navigate") == "navigate"
    return reads and asks and "text/html" in headers.get("accept", "")


def _is_open(scope: Scope) -> bool:
    return scope["type"] == "http" and OPEN.fullmatch(scope["path"]) is not None


def _deed(scope: Scope, person: Person, action: str) -> Deed:
    subject = scope["path"].removeprefix("/api/v1").strip("/")
    return Deed(person.name, person.source, _address(scope), action, subject)


def _address(scope: Scope) -> str:
    return str((scope.get("client") or ("unknown", 0))[0])


def _limit_of(scope: Scope) -> int:
    if scope["path"].startswith(MODEL_FILES):
        return MODEL_PART_LIMIT_BYTES
    return UPLOAD_LIMIT_BYTES if EDITOR.match(scope["path"]) else BODY_LIMIT_BYTES


def _hostname(host: str) -> str:
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""


def _protected(send: Send, host: str) -> Send:
    async def protected(message: Message) -> None:
        if message["type"] == "http.response.start":
            protect(MutableHeaders(scope=message), host)
        await send(message)

    return protected


def _limited(receive: Receive, limit_bytes: int) -> Receive:
    received = 0

    async def limited() -> Message:
        nonlocal received
        message = await receive()
        received += len(message.get("body", b""))
        if received > limit_bytes:
            raise BodyTooLarge(limit_bytes)
        return message

    return limited
