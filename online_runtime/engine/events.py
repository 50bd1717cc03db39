"""Web sockets and what is sent on them. Nodes send from the worker's thread, so all of it is thread-safe."""

from __future__ import annotations

import asyncio
import json
import logging
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from aiohttp import WSCloseCode, WSMsgType, web

from .previews import encode, metadata_frame, plain_frame, text_frame
from .reporting import Watching

if TYPE_CHECKING:
    from PIL import Image

log = logging.getLogger(__name__)

MAX_WAITING_FRAMES = 2000  # a client that is this far behind is disconnected rather than kept in memory
CLOSE_SECONDS = 1.0


@dataclass(eq=False)
class Connection:
    """One open web socket and the frames that wait for it."""

    client: str
    socket: web.WebSocketResponse
    flags: dict[str, Any] = field(default_factory=dict)
    waiting: asyncio.Queue[str | bytes] = field(default_factory=lambda: asyncio.Queue(MAX_WAITING_FRAMES))

    async def write(self) -> None:
        """Send what waits, for as long as the socket is open."""
        while not self.socket.closed:
            frame = await self.waiting.get()
            try:
                if isinstance(frame, str):
                    await self.socket.send_str(frame)
                else:
                    await self.socket.send_bytes(frame)
            except ConnectionError:
                log.info("Client %s went away", self.client)
                return


class EventHub:
    """The connections by client id. `flags` are the server's feature flags, `status` its queue's state."""

    def __init__(
        self, flags: dict[str, Any], status: Callable[[], dict[str, Any]], watching: Watching
    ) -> None:
        self._flags = flags
        self._status = status
        self._watching = watching
        self._loop: asyncio.AbstractEventLoop | None = None
        self.connections: dict[str, Connection] = {}

    def attach(self, loop: asyncio.AbstractEventLoop) -> None:
        """Deliver on `loop` from now on; before that, nobody can be connected."""
        self._loop = loop

    def send(self, event: str, data: Any, client: str | None) -> None:
        """Send a text event to one client, or to all. TypeError when `data` is not JSON."""
        self._post(json.dumps({"type": event, "data": data}), client)

    def send_status(self) -> None:
        """Tell all clients how many prompts remain."""
        self.send("status", {"status": self._status()}, None)

    def send_preview(self, image: Image.Image, about: dict[str, Any], client: str) -> None:
        """Send a preview to `client` in the kind of frame that it announced."""
        connection = self.connections.get(client)
        if connection is None:
            return
        format, data = encode(image)
        if connection.flags.get("supports_preview_metadata"):
            self._post(metadata_frame(format, data, about), client)
        else:
            self._post(plain_frame(format, data), client)

    def send_text(self, text: str, node_id: str, client: str | None) -> None:
        """Show `text` at a node."""
        self._post(text_frame(node_id, text), client)

    def send_bytes(self, frame: bytes, client: str | None) -> None:
        """Send a binary frame that is complete with its type."""
        self._post(frame, client)

    async def serve(self, request: web.Request) -> web.WebSocketResponse:
        """The web socket of one client, from its upgrade to its end."""
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        connection = Connection(request.query.get("clientId") or uuid.uuid4().hex, socket)
        await self._replace(connection)
        writer = asyncio.create_task(connection.write())
        self._greet(connection)
        try:
            await self._read(connection)
        finally:
            writer.cancel()
            if self.connections.get(connection.client) is connection:
                del self.connections[connection.client]
        return socket

    async def close(self) -> None:
        """Say goodbye to all clients."""
        open_now = list(self.connections.values())
        closing = [c.socket.close(code=WSCloseCode.GOING_AWAY, message=b"engine stops") for c in open_now]
        if closing:
            await asyncio.wait(map(asyncio.ensure_future, closing), timeout=CLOSE_SECONDS)

    async def _replace(self, connection: Connection) -> None:
        """A client that connects again has one socket: the new one."""
        old = self.connections.get(connection.client)
        self.connections[connection.client] = connection
        if old is not None:
            asyncio.ensure_future(old.socket.close())  # noqa: RUF006 - its own reader awaits the end

    def _greet(self, connection: Connection) -> None:
        status = {"status": self._status(), "sid": connection.client}
        self._put(connection, json.dumps({"type": "status", "data": status}))
        if self._watching.client == connection.client and self._watching.node is not None:
            running = {"node": self._watching.node}
            self._put(connection, json.dumps({"type": "executing", "data": running}))

    async def _read(self, connection: Connection) -> None:
        first = True
        async for message in connection.socket:
            if message.type is WSMsgType.ERROR:
                log.info("Web socket of %s broke: %s", connection.client, connection.socket.exception())
            elif message.type is WSMsgType.TEXT and first:
                self._negotiate(connection, message.data)
            first = False

    def _negotiate(self, connection: Connection, text: str) -> None:
        try:
            message = json.loads(text)
        except ValueError:
            log.info("Client %s sent a text that is not JSON; it is ignored", connection.client)
            return
        if isinstance(message, dict) and message.get("type") == "feature_flags":
            flags = message.get("data")
            connection.flags = flags if isinstance(flags, dict) else {}
            self._put(connection, json.dumps({"type": "feature_flags", "data": self._flags}))

    def _post(self, frame: str | bytes, client: str | None) -> None:
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._deliver, frame, client)

    def _deliver(self, frame: str | bytes, client: str | None) -> None:
        if client is None:
            for connection in list(self.connections.values()):
                self._put(connection, frame)
        elif client in self.connections:
            self._put(self.connections[client], frame)

    def _put(self, connection: Connection, frame: str | bytes) -> None:
        try:
            connection.waiting.put_nowait(frame)
        except asyncio.QueueFull:
            log.warning("Client %s reads too slowly and is disconnected", connection.client)
            self.connections.pop(connection.client, None)
            asyncio.ensure_future(connection.socket.close())  # noqa: RUF006 - its reader awaits the end
