"""What stands before every endpoint and every websocket.

Right Host, right Origin, a body within the limit, and somebody who signed in.
"""

from __future__ import annotations

from urllib.parse import urlsplit

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from web.api.answers import problem_response
from web.api.signin import SignIn
from web.editor import UPLOAD_LIMIT_BYTES, is_inside
from web.errors import BodyTooLarge, OriginRefused, WebError

BODY_LIMIT_BYTES = 32 * 1024 * 1024
OPEN_PATHS = frozenset({"/", "/healthz"})  # say nothing about the platform's content
LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})


class Gate:
    """Wraps the application. A request that may not pass is answered here, before its body is read, and so is
    the handshake of a websocket.
    """

    def __init__(self, app: ASGIApp, *, signin: SignIn, hosts: frozenset[str]) -> None:
        self.app, self._signin, self._hosts = app, signin, hosts | LOOPBACK

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self.app(scope, receive, send)
            return
        try:
            await self._check(scope)
        except WebError as error:
            await problem_response(error)(scope, receive, send)
            return
        await self.app(scope, _limited(receive, _limit_of(scope)), send)

    async def _check(self, scope: Scope) -> None:
        headers = Headers(scope=scope)
        host = _hostname(headers.get("host", ""))
        if host not in self._hosts:
            raise OriginRefused("Host", headers.get("host", ""))
        origin = headers.get("origin")
        if origin is not None and urlsplit(origin).netloc != headers.get("host"):
            raise OriginRefused("Origin", origin)
        limit_bytes = _limit_of(scope)
        if int(headers.get("content-length") or 0) > limit_bytes:
            raise BodyTooLarge(limit_bytes)
        if scope["path"] not in OPEN_PATHS:
            address = (scope.get("client") or ("unknown", 0))[0]
            authorization = headers.get("authorization", "")
            person = await run_in_threadpool(self._signin.person, authorization, address)
            scope.setdefault("state", {})["person"] = person


def _hostname(host: str) -> str:
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""


def _limit_of(scope: Scope) -> int:
    return UPLOAD_LIMIT_BYTES if is_inside(scope["path"]) else BODY_LIMIT_BYTES


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
