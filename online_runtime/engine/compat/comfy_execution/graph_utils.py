"""`comfy_execution.graph_utils`."""

from __future__ import annotations

from ...graph import ExecutionBlocker, is_link
from ...graph_builder import GraphBuilder, add_graph_prefix
from ...graph_builder import GraphNode as Node

__all__ = ["ExecutionBlocker", "GraphBuilder", "Node", "add_graph_prefix", "is_link"]
