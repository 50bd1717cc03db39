"""What the watchers of one prompt are told, in ComfyUI's events and order."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from .graph import DynamicPrompt
from .interruption import Interruption

if TYPE_CHECKING:
    from PIL import Image


class Audience(Protocol):
    """Where events go. Thread-safe; `client` None means everybody."""

    def send(self, event: str, data: dict[str, Any], client: str | None) -> None:
        """Send one text event."""

    def send_preview(self, image: Image.Image, about: dict[str, Any], client: str) -> None:
        """Send a preview picture; `about` tells the node."""


@dataclass
class Watching:
    """Who is told about the running prompt, and how far it is: for clients that connect in the middle."""

    client: str | None = None
    node: str | None = None
    prompt_id: str | None = None


@dataclass
class PromptReport:
    """Events of one prompt; those that history keeps are in `messages`."""

    prompt_id: str
    client: str | None
    prompt: DynamicPrompt
    audience: Audience
    watching: Watching
    previews: bool = False
    messages: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    _states: dict[str, dict[str, Any]] = field(default_factory=dict)

    def started(self) -> None:
        self.watching.client, self.watching.prompt_id = self.client, self.prompt_id
        self._tell_and_keep("execution_start", {})

    def cached(self, node_ids: list[str]) -> None:
        """These nodes need not run; sent even when there are none."""
        self._tell_and_keep("execution_cached", {"nodes": node_ids})

    def node_started(self, node_id: str) -> None:
        self._state(node_id, value=0, total=1, state="running")
        self.watching.node = node_id
        self._tell("executing", self._at(node_id))

    def node_advanced(self, node_id: str, value: int, total: int, preview: Image.Image | None) -> None:
        self._state(node_id, value=value, total=total, state="running")
        self._tell("progress", {"value": value, "max": total, "prompt_id": self.prompt_id, "node": node_id})
        if preview is not None and self.client is not None:
            about = {key: self._states[node_id][key] for key in _ABOUT_PREVIEW}
            self.audience.send_preview(preview, about, self.client)

    def node_showed(self, node_id: str, ui: dict[str, list[Any]]) -> None:
        """The node has a `ui` result, new or cached."""
        self._tell("executed", self._at(node_id) | {"output": ui})

    def node_finished(self, node_id: str) -> None:
        known = self._states.get(node_id, {"max": 1})
        self._state(node_id, value=known["max"], total=known["max"], state="finished")

    def node_failed(self, node_id: str) -> None:
        known = self._states.get(node_id, {"value": 0, "max": 1})
        self._state(node_id, value=known["value"], total=known["max"], state="error")

    def succeeded(self) -> None:
        self._tell_and_keep("execution_success", {})

    def failed(self, data: dict[str, Any]) -> None:
        self._tell_and_keep("execution_error", data)

    def warned(self, data: dict[str, Any]) -> None:
        """A blocked node with a message: told like an error, but the prompt goes on."""
        self._tell("execution_error", data | self._stamp())

    def interrupted(self, data: dict[str, Any]) -> None:
        """The one ending that all clients are told when the prompt has none of its own."""
        self._tell_and_keep("execution_interrupted", data, everybody=self.client is None)

    def meta(self, node_id: str) -> dict[str, Any]:
        """History's `meta` entry: where a node that showed something stands."""
        return {
            "node_id": node_id,
            "display_node": self.prompt.get_display_node_id(node_id),
            "parent_node": self.prompt.get_parent_node_id(node_id),
            "real_node_id": self.prompt.get_real_node_id(node_id),
        }

    def _at(self, node_id: str) -> dict[str, Any]:
        display = self.prompt.get_display_node_id(node_id)
        return {"node": node_id, "display_node": display, "prompt_id": self.prompt_id}

    def _state(self, node_id: str, value: int, total: int, state: str) -> None:
        self._states[node_id] = {
            "value": value,
            "max": total,
            "state": state,
            "node_id": node_id,
            "prompt_id": self.prompt_id,
            "display_node_id": self.prompt.get_display_node_id(node_id),
            "parent_node_id": self.prompt.get_parent_node_id(node_id),
            "real_node_id": self.prompt.get_real_node_id(node_id),
        }
        states = {"prompt_id": self.prompt_id, "nodes": dict(self._states)}
        self.audience.send("progress_state", states, self.client)

    def _tell(self, event: str, data: dict[str, Any]) -> None:
        # Without a client nobody asked: addressed events are not sent at all.
        if self.client is not None:
            self.audience.send(event, data, self.client)

    def _tell_and_keep(self, event: str, data: dict[str, Any], everybody: bool = False) -> None:
        data = {"prompt_id": self.prompt_id, **data, **self._stamp()}
        self.messages.append((event, data))
        if everybody:
            self.audience.send(event, data, None)
        else:
            self._tell(event, data)

    def _stamp(self) -> dict[str, Any]:
        return {"prompt_id": self.prompt_id, "timestamp": time.time_ns() // 1_000_000}


_ABOUT_PREVIEW = ("node_id", "prompt_id", "display_node_id", "parent_node_id", "real_node_id")


@dataclass(frozen=True)
class NodeProgress:
    """The Progress of one running node: reports what it is told, and passes the wish to stop."""

    node_id: str
    report: PromptReport
    interruption: Interruption

    @property
    def wants_previews(self) -> bool:
        return self.report.previews and self.report.client is not None

    def update(self, value: int, total: int, preview: Image.Image | None = None) -> None:
        self.interruption.check()
        self.report.node_advanced(self.node_id, value, total, preview)

    def check_interrupted(self) -> None:
        self.interruption.check()
