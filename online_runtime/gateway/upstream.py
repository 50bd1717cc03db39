"""Talking to instances: one client session for all of them, and short questions to their engines."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import aiohttp
from yarl import URL

from online_runtime.gateway.errors import InstanceAnswerBroken, InstanceUnreachable
from online_runtime.gateway.routing import RouteInstance
from online_runtime.gateway.settings import GatewaySettings

IDLE_CONNECTION_SECONDS = (
    20  # engines close idle ones after 75 s; we do it first, so no call meets a closing one
)
READ_BUFFER_BYTES = 256 * 1024


def url_of(instance: RouteInstance, path: str, query: str = "") -> URL:
    """The instance's URL for a path that is already percent-encoded."""
    return URL(f"{instance.url.rstrip('/')}{path}{'?' + query if query else ''}", encoded=True)


class Upstream:
    """The aiohttp client of this gateway. Made inside a running loop."""

    def __init__(self, settings: GatewaySettings) -> None:
        self._small = aiohttp.ClientTimeout(
            total=settings.small_answer_limit_seconds, sock_connect=settings.connect_limit_seconds
        )
        self.session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=IDLE_CONNECTION_SECONDS),
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=settings.connect_limit_seconds),
            auto_decompress=False,
            cookie_jar=aiohttp.DummyCookieJar(),
            skip_auto_headers=("User-Agent", "Accept", "Accept-Encoding", "Content-Type"),
            read_bufsize=READ_BUFFER_BYTES,
        )

    async def close(self) -> None:
        await self.session.close()

    async def ask(self, instance: RouteInstance, path: str) -> Any:
        """The JSON document at `path`. Raises InstanceUnreachable, InstanceAnswerBroken."""
        status, body = await self.call(instance, "GET", path)
        if status != 200:
            raise InstanceAnswerBroken(instance.id, path, f"status {status}")
        try:
            return json.loads(body)
        except ValueError as problem:
            raise InstanceAnswerBroken(instance.id, path, "something that is not JSON") from problem

    async def call(
        self, instance: RouteInstance, method: str, path: str, document: Mapping[str, Any] | None = None
    ) -> tuple[int, bytes]:
        """A short call. Raises InstanceUnreachable."""
        body = None if document is None else json.dumps(document).encode()
        return await self.post(instance, method, path, body, self._small)

    async def post(
        self,
        instance: RouteInstance,
        method: str,
        path: str,
        body: bytes | None,
        limit: aiohttp.ClientTimeout,
    ) -> tuple[int, bytes]:
        """Send a JSON body and read the whole answer. Raises InstanceUnreachable, `refused` when no
        byte was sent.
        """
        headers = {"Content-Type": "application/json"} if body is not None else None
        try:
            async with self.session.request(
                method,
                url_of(instance, path),
                data=body,
                headers=headers,
                timeout=limit,
                allow_redirects=False,
            ) as response:
                return response.status, await response.read()
        except (aiohttp.ClientError, TimeoutError) as problem:
            raise unreachable(instance, problem) from problem


def unreachable(instance: RouteInstance, problem: Exception) -> InstanceUnreachable:
    """What a failed call to an instance means."""
    refused = isinstance(problem, aiohttp.ClientConnectorError | aiohttp.ConnectionTimeoutError)
    return InstanceUnreachable(instance.id, type(problem).__name__, refused)
