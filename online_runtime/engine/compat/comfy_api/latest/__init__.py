"""`comfy_api.latest`: what plugins import to declare their nodes by schemas."""

from __future__ import annotations

from typing import Any

from ...placeholders import placeholder
from . import _io as io
from . import _ui as ui

IO, UI, comfy_io = io, ui, io

__all__ = ["ComfyExtension", "comfy_io", "io", "ui"]


class ComfyExtension:
    """What a plugin's `comfy_entrypoint` returns: it lists the node classes."""

    async def on_load(self) -> None:
        """Called once before the nodes are asked for."""

    async def get_node_list(self) -> list[type[io.ComfyNode]]:
        """The node classes of the plugin."""
        raise NotImplementedError(f"{type(self).__name__} has no get_node_list")


def __getattr__(name: str) -> Any:
    if name.startswith("__"):
        raise AttributeError(name)
    return placeholder(f"comfy_api.latest.{name}")
