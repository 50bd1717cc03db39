"""One caller's websocket over all instances of a service: events of every engine in one stream, as from
one engine.
"""

from __future__ import annotations

import asyncio
import json
from typing import Any
from urllib.parse import parse_qsl, urlencode

import aiohttp
import structlog

from online_runtime.gateway.caller_socket import CallerSocket
from online_runtime.gateway.outputs import outside
from online_runtime.gateway.routing import RouteInstance
from online_runtime.gateway.upstream import Upstream, url_of

log = structlog.get_logger()

READ_AGAIN = (
    '"status"',
    '"executed"',
    '"feature_flags"',
)  # messages that are changed; all others pass as they are
FIRST_RETRY_SECONDS = 0.5
LAST_RETRY_SECONDS = 5.0


class MergedSocket:
    """Connects to instances with the caller's own clientId and merges what they send.

    The sid comes once, the queue's length is the sum, and files in `executed` get their prompt's subfolder.
    """

    def __init__(self, upstream: Upstream, caller: CallerSocket, query: str, client_id: str) -> None:
        self._upstream, self._caller, self.client_id = upstream, caller, client_id
        self._query = urlencode({**dict(parse_qsl(query, keep_blank_values=True)), "clientId": client_id})
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._sockets: dict[str, aiohttp.ClientWebSocketResponse] = {}
        self._remaining: dict[str, int] = {}
        self._hello: str | None = None  # the caller's feature flags, which every engine must get first
        self._sid_sent = self._flags_sent = False
        self.detached = False

    def follow(self, instances: tuple[RouteInstance, ...]) -> None:
        """Be connected to exactly these instances from now on."""
        if self.detached:
            return
        wanted = {instance.id: instance for instance in instances}
        for gone in self._tasks.keys() - wanted.keys():
            self._tasks.pop(gone).cancel()
        for instance_id, instance in wanted.items():
            if instance_id not in self._tasks or self._tasks[instance_id].done():
                task = asyncio.create_task(self._connected(instance), name=f"websocket {instance_id}")
                self._tasks[instance_id] = task

    def detach(self) -> None:
        """Stop all events: the same clientId has connected again, and engines speak to the newest only."""
        self.detached = True
        for task in self._tasks.values():
            task.cancel()
        self._tasks.clear()

    async def from_caller(self, text: str | None, data: bytes | None) -> None:
        """Pass a message of the caller to every engine."""
        if text is not None and self._hello is None and '"feature_flags"' in text:
            self._hello = text
        for socket in list(self._sockets.values()):
            try:
                if text is not None:
                    await socket.send_str(text)
                elif data is not None:
                    await socket.send_bytes(data)
            except (aiohttp.ClientError, ConnectionError) as problem:
                log.info("websocket_message_not_passed", cause=type(problem).__name__)

    async def _connected(self, instance: RouteInstance) -> None:
        """Stay connected to one instance; an engine that restarts is found again."""
        retry_seconds = FIRST_RETRY_SECONDS
        while True:
            try:
                url = url_of(instance, "/ws", self._query)
                async with self._upstream.session.ws_connect(url, max_msg_size=0) as socket:
                    retry_seconds = FIRST_RETRY_SECONDS
                    await self._listen(instance, socket)
            except (aiohttp.ClientError, OSError) as problem:
                log.info("websocket_upstream_lost", instance=instance.id, cause=type(problem).__name__)
            finally:
                self._sockets.pop(instance.id, None)
                self._remaining.pop(instance.id, None)
            await asyncio.sleep(retry_seconds)
            retry_seconds = min(2 * retry_seconds, LAST_RETRY_SECONDS)

    async def _listen(self, instance: RouteInstance, socket: aiohttp.ClientWebSocketResponse) -> None:
        if self._hello is not None:
            await socket.send_str(self._hello)
        self._sockets[instance.id] = socket
        async for message in socket:
            if message.type is aiohttp.WSMsgType.TEXT:
                text = self._for_caller(instance.id, message.data)
                if text is not None:
                    await self._caller.text(text)
            elif message.type is aiohttp.WSMsgType.BINARY:
                await self._caller.binary(message.data)

    def _for_caller(self, instance_id: str, text: str) -> str | None:
        """What the caller gets of an engine's message; None: nothing."""
        if not any(word in text for word in READ_AGAIN):
            return text
        try:
            event = json.loads(text)
            kind, data = event["type"], event["data"]
        except (ValueError, KeyError, TypeError):
            return text  # not one of ComfyUI's own events: a plugin's, passed as it is
        if kind == "status" and isinstance(data, dict):
            return json.dumps({**event, "data": self._status(instance_id, data)})
        if kind == "executed" and isinstance(data, dict):
            output = outside(data.get("output"), str(data.get("prompt_id")))
            return json.dumps({**event, "data": {**data, "output": output}})
        if kind == "feature_flags":
            first, self._flags_sent = not self._flags_sent, True
            return text if first else None
        return text

    def _status(self, instance_id: str, data: dict[str, Any]) -> dict[str, Any]:
        status = data.get("status") or {}
        self._remaining[instance_id] = int((status.get("exec_info") or {}).get("queue_remaining", 0))
        merged: dict[str, Any] = {"status": {"exec_info": {"queue_remaining": sum(self._remaining.values())}}}
        if not self._sid_sent:
            self._sid_sent = True
            merged["sid"] = self.client_id
        return merged
