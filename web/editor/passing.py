"""Passing a request of the editor on to its engine, as a stream both ways."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send
from yarl import URL

from online_runtime.gateway.proxy import KEPT_HERE, NOT_PASSED_BACK
from web.editor import UPLOAD_LIMIT_BYTES
from web.editor.engine import Engine
from web.editor.errors import EngineGone, UploadTooLarge
from web.editor.scrubbing import PathScrubber

CONNECT_LIMIT_SECONDS = 5.0
ANSWER_LIMIT_SECONDS = 30.0  # of a question of ours; an engine at work may be slow to answer
# Answers of a ComfyUI checkout that name folders of this machine. None of them is large or a stream.
INTERNAL = "/internal/"  # its log and its folders are full of them
TELLING = ("/prompt", "/history", "/jobs", "/system_stats", "/experiment/models", INTERNAL)


def target(engine: Engine, path: str, query: str) -> URL:
    """The engine's address of `path`, which is percent-encoded already."""
    return URL(f"{engine.url}{path}{'?' + query if query else ''}", encoded=True)


def client_session() -> aiohttp.ClientSession:
    """A session for one exchange: engines are on loopback, and a restarted one is never met by an old
    connection.
    """
    return aiohttp.ClientSession(
        timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_LIMIT_SECONDS),
        auto_decompress=False,
        cookie_jar=aiohttp.DummyCookieJar(),
        skip_auto_headers=("User-Agent", "Accept", "Accept-Encoding", "Content-Type"),
        read_bufsize=256 * 1024,
    )


def request_headers(request: Request, *, readable: bool) -> list[tuple[str, str]]:
    """The request's headers for the engine; credentials and origin stay here. `readable`: not compressed."""
    dropped = KEPT_HERE | ({b"accept-encoding"} if readable else set())
    return [
        (name.decode("latin-1"), value.decode("latin-1"))
        for name, value in request.headers.raw
        if name not in dropped
    ]


async def pass_on(request: Request, engine: Engine, path: str, body: bytes | None = None) -> Response:
    """The engine's answer, read as far as its headers. `body` replaces the request's own when given.

    Raises EngineGone, UploadTooLarge.
    """
    scrubbed = engine.kind == "comfyui" and path.removeprefix("/api").startswith(TELLING)
    headers = request_headers(request, readable=scrubbed)
    if body is not None:
        headers = [pair for pair in headers if pair[0] != "content-length"]
    session = client_session()
    try:
        response = await session.request(
            request.method,
            target(engine, path, request.url.query),
            headers=headers,
            data=_limited(request) if body is None and _has_body(request) else body,
            allow_redirects=False,
        )
    except (aiohttp.ClientError, TimeoutError) as problem:
        await session.close()
        raise _cause(engine, problem) from problem
    except BaseException:
        await session.close()
        raise
    if scrubbed:
        return await _scrubbed(engine, session, response, all_texts=path.startswith(INTERNAL))
    return _Streamed(session, response)


async def ask(engine: Engine, path: str) -> Any:
    """The JSON document at `path` of the engine. Raises EngineGone."""
    return await _exchange(engine, "GET", path, None)


async def tell(engine: Engine, path: str, document: object) -> None:
    """Send the engine a JSON document. Raises EngineGone."""
    await _exchange(engine, "POST", path, document)


async def _exchange(engine: Engine, method: str, path: str, document: object) -> Any:
    limit = aiohttp.ClientTimeout(total=ANSWER_LIMIT_SECONDS)
    try:
        async with (
            aiohttp.ClientSession(timeout=limit) as session,
            session.request(method, target(engine, path, ""), json=document) as response,
        ):
            response.raise_for_status()
            return await response.json() if response.content_type == "application/json" else None
    except (aiohttp.ClientError, TimeoutError) as problem:
        raise EngineGone(engine.project, type(problem).__name__) from problem


async def let_go(answer: Response) -> None:
    """End an answer that is not sent: it may hold a connection to its engine."""
    if isinstance(answer, _Streamed):
        await answer.end()


class _Streamed(StreamingResponse):
    """Ends its connection to the engine with itself, whatever ends it."""

    def __init__(self, session: aiohttp.ClientSession, response: aiohttp.ClientResponse) -> None:
        super().__init__(response.content.iter_any(), response.status)
        self.raw_headers = _answer_headers(response)
        self._session, self._response = session, response

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            await self.end()

    async def end(self) -> None:
        self._response.close()
        await self._session.close()


async def _scrubbed(
    engine: Engine, session: aiohttp.ClientSession, response: aiohttp.ClientResponse, *, all_texts: bool
) -> Response:
    try:
        body = await response.read()
    except (aiohttp.ClientError, TimeoutError) as problem:
        raise _cause(engine, problem) from problem
    finally:
        response.close()
        await session.close()
    scrubber = PathScrubber.of(engine.root, engine.models)
    told = await asyncio.to_thread(scrubber.body, body, all_texts=all_texts)
    answer = Response(told, response.status)
    own = (b"content-length",)
    answer.raw_headers += [pair for pair in _answer_headers(response) if pair[0] not in own]
    return answer


def _answer_headers(response: aiohttp.ClientResponse) -> list[tuple[bytes, bytes]]:
    return [
        (name.lower(), value) for name, value in response.raw_headers if name.lower() not in NOT_PASSED_BACK
    ]


def _has_body(request: Request) -> bool:
    return "content-length" in request.headers or "transfer-encoding" in request.headers


async def _limited(request: Request) -> AsyncIterator[bytes]:
    if int(request.headers.get("content-length") or 0) > UPLOAD_LIMIT_BYTES:
        raise UploadTooLarge(UPLOAD_LIMIT_BYTES)
    size_bytes = 0
    async for chunk in request.stream():
        size_bytes += len(chunk)
        if size_bytes > UPLOAD_LIMIT_BYTES:
            raise UploadTooLarge(UPLOAD_LIMIT_BYTES)
        yield chunk


def _cause(engine: Engine, problem: BaseException) -> Exception:
    """The error of ours that ended an upload, wrapped by aiohttp in its own; else the engine is gone."""
    cause: BaseException | None = problem
    while cause is not None:
        if isinstance(cause, UploadTooLarge):
            return cause
        cause = cause.__cause__ or cause.__context__
    return EngineGone(engine.project, type(problem).__name__)
