"""`comfy_execution.graph`."""

from __future__ import annotations

from typing import Any

from ...graph import DynamicPrompt, ExecutionBlocker
from ...graph_builder import GraphBuilder
from ..placeholders import placeholder

__all__ = ["DynamicPrompt", "ExecutionBlocker", "GraphBuilder"]


def __getattr__(name: str) -> Any:
    if name.startswith("__"):
        raise AttributeError(name)
    return placeholder(f"comfy_execution.graph.{name}")
