"""`comfy.comfy_types`: names of types for nodes of the older protocol."""

from __future__ import annotations

from .node_typing import IO, ComfyNodeABC

__all__ = ["IO", "ComfyNodeABC"]
