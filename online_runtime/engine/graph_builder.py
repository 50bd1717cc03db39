"""How a node builds the sub-graph that it returns as `expand`."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextvars import ContextVar, Token
from typing import Any

from .graph import is_link

_EVERYWHERE = itertools.count()

# The node that runs in this context, and the numbers for the graphs that it builds: the same in each run, so
# that the results of a sub-graph are found again in the cache.
_builder: ContextVar[tuple[str, Iterator[int]] | None] = ContextVar("builder", default=None)


def builds_for(node_id: str) -> Token[tuple[str, Iterator[int]] | None]:
    """Graphs built in this context belong to `node_id`."""
    return _builder.set((node_id, itertools.count()))


class GraphNode:
    """One node of a sub-graph. Pass `out(0)` as another node's input to link it."""

    def __init__(self, id: str, class_type: str, inputs: dict[str, Any]) -> None:
        self.id = id
        self.class_type = class_type
        self.inputs = inputs
        self.override_display_id: str | None = None

    def out(self, index: int) -> list[Any]:
        """The link to output `index`."""
        return [self.id, index]

    def set_input(self, key: str, value: Any) -> None:
        """Set an input; None removes it."""
        if value is None:
            self.inputs.pop(key, None)
        else:
            self.inputs[key] = value

    def get_input(self, key: str) -> Any:
        return self.inputs.get(key)

    def set_override_display_id(self, override_display_id: str) -> None:
        """Show this node's progress at another node than the one that expands."""
        self.override_display_id = override_display_id

    def serialize(self) -> dict[str, Any]:
        """The node as a prompt holds it."""
        node: dict[str, Any] = {"class_type": self.class_type, "inputs": self.inputs}
        if self.override_display_id is not None:
            node["override_display_id"] = self.override_display_id
        return node


class GraphBuilder:
    """Builds a sub-graph whose ids are unique to the node that builds it."""

    def __init__(self, prefix: str | None = None) -> None:
        self.prefix = _next_prefix() if prefix is None else prefix
        self.nodes: dict[str, GraphNode] = {}
        self._ids = itertools.count(1)

    def node(self, class_type: str, id: str | None = None, **inputs: Any) -> GraphNode:
        """Add a node, or find the one that has this id already."""
        full_id = f"{self.prefix}{next(self._ids) if id is None else id}"
        if full_id not in self.nodes:
            self.nodes[full_id] = GraphNode(full_id, class_type, inputs)
        return self.nodes[full_id]

    def lookup_node(self, id: str) -> GraphNode | None:
        """The node that was added with this id."""
        return self.nodes.get(f"{self.prefix}{id}")

    def finalize(self) -> dict[str, Any]:
        """The sub-graph, to be returned as `expand`."""
        return {node_id: node.serialize() for node_id, node in self.nodes.items()}

    def replace_node_output(self, node_id: str, index: int, new_value: Any) -> None:
        """Give `new_value` to each input that is linked to output `index` of `node_id`; None removes it."""
        full_id = f"{self.prefix}{node_id}"
        for node in self.nodes.values():
            for key, value in list(node.inputs.items()):
                if is_link(value) and value == [full_id, index]:
                    node.set_input(key, new_value)

    def remove_node(self, id: str) -> None:
        del self.nodes[f"{self.prefix}{id}"]


def add_graph_prefix(
    graph: dict[str, Any], outputs: list[Any], prefix: str
) -> tuple[dict[str, Any], tuple[Any, ...]]:
    """`graph` and `outputs` with `prefix` before each node id."""

    def prefixed(value: Any) -> Any:
        return [f"{prefix}{value[0]}", value[1]] if is_link(value) else value

    nodes = {
        f"{prefix}{node_id}": {
            **node,
            "inputs": {key: prefixed(value) for key, value in node.get("inputs", {}).items()},
        }
        for node_id, node in graph.items()
    }
    return nodes, tuple(prefixed(value) for value in outputs)


def _next_prefix() -> str:
    builder = _builder.get()
    if builder is None:
        return f"graph{next(_EVERYWHERE)}."
    node_id, numbers = builder
    return f"{node_id}.{next(numbers)}."
