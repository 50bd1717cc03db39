"""One HTTP call at the gateway: its request, read as a stream with a limit, and its answer."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from time import perf_counter
from typing import Any
from urllib.parse import parse_qsl

from online_runtime.gateway.errors import BodyTooLarge, CallerGone
from online_runtime.gateway.problems import Headers

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]


LINGER_SECONDS = 2.0  # how long a refused upload is still read


class Exchange:
    """Wraps one ASGI HTTP call. Header names are lower-case bytes, as ASGI has them."""

    __slots__ = (
        "_receive",
        "_send",
        "body_started",
        "headers",
        "method",
        "query",
        "service",
        "started",
        "status",
    )

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._receive, self._send = receive, send
        self.method: str = scope["method"]
        self.query: str = scope["query_string"].decode("latin-1")
        self.headers: Headers = scope["headers"]
        self.service = ""  # once its route is known
        self.status = 0  # of the answer, once it has begun
        self.started = 0.0  # when the answer began, in seconds of time.perf_counter; 0: not yet
        self.body_started = False  # whether anything of the request's body was taken

    def header(self, name: bytes) -> str | None:
        """The first value of a header, or None."""
        for known, value in self.headers:
            if known == name:
                return value.decode("latin-1")
        return None

    def parameters(self) -> dict[str, str]:
        """The query's parameters; the last one of a name counts."""
        return dict(parse_qsl(self.query, keep_blank_values=True))

    @property
    def has_body(self) -> bool:
        return any(name in (b"content-length", b"transfer-encoding") for name, _ in self.headers)

    def refuse_large(self, limit_bytes: int) -> None:
        """Raise BodyTooLarge when the request itself says so; `body` and `stream` count what really comes."""
        length = self.header(b"content-length")
        if length is not None and int(length) > limit_bytes:
            raise BodyTooLarge(limit_bytes)

    async def body(self, limit_bytes: int) -> bytes:
        """The whole body. Raises BodyTooLarge, CallerGone."""
        return b"".join([chunk async for chunk in self.stream(limit_bytes)])

    async def stream(self, limit_bytes: int) -> AsyncIterator[bytes]:
        """The body in chunks as they come. Raises BodyTooLarge, CallerGone."""
        self.refuse_large(limit_bytes)
        size_bytes, more = 0, True
        while more:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                raise CallerGone
            self.body_started = True
            chunk: bytes = message.get("body", b"")
            size_bytes += len(chunk)
            if size_bytes > limit_bytes:
                raise BodyTooLarge(limit_bytes)
            more = message.get("more_body", False)
            if chunk:
                yield chunk

    async def gone(self) -> None:
        """Returns when the caller has hung up. Only for requests whose body has been read or that have
        none.
        """
        while (await self._receive())["type"] != "http.disconnect":
            pass

    async def start(self, status: int, headers: Headers) -> None:
        self.started, self.status = perf_counter(), status
        await self._send({"type": "http.response.start", "status": status, "headers": headers})

    async def send(self, chunk: bytes, *, more: bool) -> None:
        """Send a part of the answer; waits while the caller is slower than we are."""
        await self._send({"type": "http.response.body", "body": chunk, "more_body": more})

    async def answer(
        self, status: int, body: bytes, content_type: str, headers: Headers | None = None
    ) -> None:
        """Send a whole answer."""
        own = [(b"content-type", content_type.encode()), (b"content-length", str(len(body)).encode())]
        await self.start(status, own + (headers or []))
        await self.send(body, more=False)

    async def answer_early(self, status: int, body: bytes, content_type: str, headers: Headers) -> None:
        """Answer before the request's body has been read. Closing at once would reset the connection
        and lose the answer
        on its way, so the rest is read for a moment and thrown away.
        """
        own = [(b"content-type", content_type.encode()), (b"content-length", str(len(body)).encode())]
        await self.start(status, own + headers)
        await self.send(body, more=True)
        deadline = asyncio.get_running_loop().time() + LINGER_SECONDS
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout_at(deadline):
                while (message := await self._receive())["type"] == "http.request" and message.get(
                    "more_body"
                ):
                    pass
        await self.send(b"", more=False)

    async def json(self, document: object, headers: Headers | None = None) -> None:
        """Send a JSON document with status 200."""
        await self.answer(200, json.dumps(document).encode(), "application/json", headers)
