"""/ws: callers' websockets, from the handshake to the close that tells them to come back after a rotation."""

from __future__ import annotations

import asyncio
import uuid
from urllib.parse import parse_qs

from online_runtime.gateway.caller_socket import CallerSocket
from online_runtime.gateway.exchange import Receive, Scope, Send
from online_runtime.gateway.ledger import JobLedger
from online_runtime.gateway.merged_socket import MergedSocket
from online_runtime.gateway.routing import ServiceRoute
from online_runtime.gateway.tokens import is_valid, without_token
from online_runtime.gateway.upstream import Upstream
from online_runtime.gateway.watch import RoutingWatch
from online_runtime.jobs import queue

LOOK_SECONDS = 0.5  # between looks at a socket whose service is being rotated
COME_BACK = 1012
TOKEN_REVOKED = 1008


class Websockets:
    """All open sockets of this gateway, at most one a (service, clientId)."""

    def __init__(self, ledger: JobLedger, upstream: Upstream, watch: RoutingWatch) -> None:
        self._ledger, self._upstream, self._watch = ledger, upstream, watch
        self._open: dict[tuple[str, str], MergedSocket] = {}

    async def serve(
        self, scope: Scope, receive: Receive, send: Send, route: ServiceRoute, token: str
    ) -> None:
        """Serve one socket of a caller whose token was checked, until either side closes it."""
        query = without_token(scope["query_string"].decode("latin-1"))
        client_id = parse_qs(query).get("clientId", [""])[0] or uuid.uuid4().hex
        await receive()  # websocket.connect
        await send({"type": "websocket.accept"})
        caller = CallerSocket(send)
        socket = MergedSocket(self._upstream, caller, query, client_id)
        self._replace(route.name, socket)
        work = [
            asyncio.create_task(one, name=f"websocket of {client_id}")
            for one in (_read(receive, socket), self._keep(socket, caller, route, token), caller.ended.wait())
        ]
        try:
            first, _ = await asyncio.wait(work, return_when=asyncio.FIRST_COMPLETED)
            for task in first:
                task.result()
        finally:
            caller.ended.set()
            for task in work:
                task.cancel()
            socket.detach()
            if self._open.get((route.name, client_id)) is socket:
                del self._open[route.name, client_id]

    def _replace(self, service: str, socket: MergedSocket) -> None:
        old = self._open.get((service, socket.client_id))
        if old is not None:
            old.detach()
        self._open[service, socket.client_id] = socket

    async def _keep(
        self, socket: MergedSocket, caller: CallerSocket, opened: ServiceRoute, token: str
    ) -> None:
        """Follow the table; close when the token is revoked or what the socket was opened on is drained."""
        idle_looks = 0
        while True:
            route = self._watch.service(opened.name)
            if route is None:
                await caller.close(COME_BACK, "The service is gone.")
                return
            if not is_valid(route, token):
                await caller.close(TOKEN_REVOKED, "The token was revoked.")
                return
            socket.follow(route.instances)
            rotated = _rotated(opened, route)
            idle = rotated and not await self._busy(socket, opened, route)
            idle_looks = idle_looks + 1 if idle else 0
            if idle_looks > 1:  # twice, so that the last events of the last job have passed
                await caller.close(COME_BACK, "The service was rotated; connect again.")
                return
            await self._watch.changed(LOOK_SECONDS if rotated else 60.0)

    async def _busy(self, socket: MergedSocket, opened: ServiceRoute, route: ServiceRoute) -> bool:
        """Whether this caller still has jobs on instances that are being drained."""
        known = {instance.id for instance in (*opened.instances, *route.instances)}
        drained = known - {instance.id for instance in route.accepting}
        question = queue.unfinished_of_client
        return await self._ledger.ask(question, opened.name, socket.client_id, drained) > 0


def _rotated(opened: ServiceRoute, now: ServiceRoute) -> bool:
    """Whether none of the snapshots that the socket was opened on takes new prompts any more. That of a
    sleeping service stays open: to come back would wake it.
    """
    if now.sleeps:
        return False
    before = {instance.snapshot_id for instance in opened.accepting}
    return not before & {instance.snapshot_id for instance in now.accepting}


async def _read(receive: Receive, socket: MergedSocket) -> None:
    """Pass on what the caller sends, until it hangs up."""
    while (message := await receive())["type"] == "websocket.receive":
        await socket.from_caller(message.get("text"), message.get("bytes"))
