"""/ws of the editor: one websocket of a browser joined to one of its engine.

Text and binary frames pass as they are, so both kinds of previews and the handshake of feature flags are the
engine's own.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable

import aiohttp
from starlette.types import Receive, Scope, Send
from starlette.websockets import WebSocket
from yarl import URL

from online_runtime.gateway.caller_socket import CallerSocket
from web.editor.engine import Engine
from web.editor.errors import EngineGone
from web.editor.passing import client_session, target
from web.editor.scrubbing import PathScrubber

COME_BACK = 1012
REPLACED = 1000
SIGNED_OUT = 1008
LOOK_SECONDS = 5.0  # how long a socket may outlive the session that opened it
REPLACE_LIMIT_SECONDS = 5.0


class Sockets:
    """All open sockets of the editors, one a (project, clientId), as engines have them."""

    def __init__(self, may_stay: Callable[[Scope], bool]) -> None:
        """`may_stay` tells whether who opened a socket is still signed in and allowed; it may block."""
        self._may_stay = may_stay
        self._open: dict[tuple[str, str], _Joined] = {}

    async def serve(self, scope: Scope, receive: Receive, send: Send, engine: Engine) -> None:
        """Serve one socket until either side closes it. Raises EngineGone before it is accepted."""
        asked = WebSocket(scope, receive, send)
        client = asked.query_params.get("clientId") or uuid.uuid4().hex
        key = (engine.project, client)
        # An engine forgets the new socket when it notices the end of an old one of the same client.
        await self._end_older(key)
        async with client_session() as session:
            upstream = await _connect(session, engine, _address(engine, asked.url.query, client))
            async with upstream:
                await asked.accept()
                joined = _Joined(asked, upstream, CallerSocket(send), engine)
                self._open[key] = joined
                try:
                    await joined.run(lambda: self._may_stay(scope))
                finally:
                    joined.ended.set()
                    if self._open.get(key) is joined:
                        del self._open[key]

    async def _end_older(self, key: tuple[str, str]) -> None:
        older = self._open.pop(key, None)
        if older is not None:
            older.replaced.set()
            async with asyncio.timeout(REPLACE_LIMIT_SECONDS):
                await older.ended.wait()


class _Joined:
    def __init__(
        self,
        asked: WebSocket,
        upstream: aiohttp.ClientWebSocketResponse,
        caller: CallerSocket,
        engine: Engine,
    ) -> None:
        self._asked, self._upstream, self._caller = asked, upstream, caller
        builtin = engine.kind == "builtin"
        self._scrubber = None if builtin else PathScrubber.of(engine.root, engine.models)
        self.replaced, self.ended = asyncio.Event(), asyncio.Event()

    async def run(self, may_stay: Callable[[], bool]) -> None:
        """Pass frames until either side ends, the client connects anew, or `may_stay` says no."""
        parts = (self._to_engine(), self._to_caller(), self.replaced.wait(), self._caller.ended.wait())
        work = [asyncio.create_task(one) for one in (*parts, self._look(may_stay))]
        try:
            done, _ = await asyncio.wait(work, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            for task in work:
                task.cancel()
            await self._upstream.close()
        if self.replaced.is_set():
            await self._caller.close(REPLACED, "The same client connected again.")

    async def _look(self, may_stay: Callable[[], bool]) -> None:
        while await asyncio.to_thread(may_stay):
            await asyncio.sleep(LOOK_SECONDS)
        await self._caller.close(SIGNED_OUT, "You are signed out, or may not use this any more.")

    async def _to_engine(self) -> None:
        while (message := await self._asked.receive())["type"] == "websocket.receive":
            if message.get("text") is not None:
                await self._upstream.send_str(message["text"])
            else:
                await self._upstream.send_bytes(message["bytes"])
        self._caller.ended.set()  # the browser hung up: there is nobody to close

    async def _to_caller(self) -> None:
        async for message in self._upstream:
            if message.type is aiohttp.WSMsgType.TEXT:
                await self._caller.text(self._shown(message.data))
            elif message.type is aiohttp.WSMsgType.BINARY:
                await self._caller.binary(message.data)
        if not self.replaced.is_set():
            await self._caller.close(COME_BACK, "The engine ended; connect again.")

    def _shown(self, text: str) -> str:
        return text if self._scrubber is None else self._scrubber.event(text)


def _address(engine: Engine, query: str, client: str) -> URL:
    url = target(engine, "/ws", query)
    return url if "clientId" in url.query else url.update_query(clientId=client)


async def _connect(
    session: aiohttp.ClientSession, engine: Engine, url: URL
) -> aiohttp.ClientWebSocketResponse:
    try:
        return await session.ws_connect(url, max_msg_size=0, autoping=True)
    except (aiohttp.ClientError, TimeoutError) as problem:
        raise EngineGone(engine.project, type(problem).__name__) from problem
