"""`server`: the PromptServer through which plugins add routes and send events."""

from __future__ import annotations

import asyncio
import struct
import uuid
from collections.abc import Callable
from typing import Any, ClassVar

from aiohttp import web

from ..assembly import Engine
from .queue_view import QueueView

__all__ = ["BinaryEventTypes", "PromptServer", "uuid", "web"]  # packs take the last two from here


class BinaryEventTypes:
    """Types of binary events for send_sync."""

    PREVIEW_IMAGE = 1
    UNENCODED_PREVIEW_IMAGE = 2
    TEXT = 3
    PREVIEW_IMAGE_WITH_METADATA = 4


class PromptServer:
    """What plugins may ask of the server, by `PromptServer.instance`. Its routes count until listening."""

    instance: ClassVar[PromptServer]

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.routes = web.RouteTableDef()
        self.app = web.Application()  # only gathers what plugins add as they are imported
        self.loop: asyncio.AbstractEventLoop | None = None
        self.address = engine.arguments.listen
        self.port = engine.arguments.port
        self.supports = ["custom_nodes_from_web"]
        self.prompt_queue = QueueView(engine)

    @property
    def client_id(self) -> str | None:
        """The client of the running prompt."""
        return self._engine.watching.client

    @property
    def last_node_id(self) -> str | None:
        """The node that started last in the running prompt."""
        return self._engine.watching.node

    @property
    def last_prompt_id(self) -> str | None:
        """The running prompt."""
        return self._engine.watching.prompt_id

    @property
    def sockets(self) -> dict[str, web.WebSocketResponse]:
        """Open web sockets by client id."""
        return {client: c.socket for client, c in self._engine.hub.connections.items()}

    def send_sync(self, event: str | int, data: Any, sid: str | None = None) -> None:
        """Send an event to client `sid`, or to all. May be called from any thread."""
        if isinstance(event, str):
            self._engine.hub.send(event, data, sid)
        elif event == BinaryEventTypes.UNENCODED_PREVIEW_IMAGE:
            image = data[1]
            for client in [sid] if sid is not None else list(self._engine.hub.connections):
                self._engine.hub.send_preview(image, {"node_id": self.last_node_id}, client)
        else:
            self._engine.hub.send_bytes(struct.pack(">I", event) + bytes(data), sid)

    async def send(self, event: str | int, data: Any, sid: str | None = None) -> None:
        """send_sync for callers on the event loop."""
        self.send_sync(event, data, sid)

    async def send_json(self, event: str, data: Any, sid: str | None = None) -> None:
        """send_sync for callers on the event loop."""
        self.send_sync(event, data, sid)

    def send_progress_text(self, text: str | bytes, node_id: str, sid: str | None = None) -> None:
        """Show `text` at a node."""
        shown = text.decode() if isinstance(text, bytes) else text
        self._engine.hub.send_text(shown, node_id, sid if sid is not None else self.client_id)

    def add_on_prompt_handler(self, handler: Callable[[Any], Any]) -> None:
        """Let `handler` see, and return, the JSON of each request before it is validated."""
        self._engine.hooks.prompt_handlers.append(handler)

    def trigger_on_prompt(self, json_data: Any) -> Any:
        """`json_data` as the handlers leave it."""
        return self._engine.hooks.on_prompt(json_data)

    def interrupt(self) -> None:
        """Ask the running prompt to stop."""
        self._engine.interruption.request()

    def queue_updated(self) -> None:
        """Tell all clients how many prompts remain."""
        self._engine.hub.send_status()

    def get_queue_info(self) -> dict[str, Any]:
        """How many prompts remain, in the shape of `GET /prompt`."""
        return {"exec_info": {"queue_remaining": self._engine.queue.remaining()}}
