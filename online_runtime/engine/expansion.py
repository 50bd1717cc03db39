"""A node that returned a sub-graph instead of values: the nodes it adds, and where its outputs come from."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from .calling import NodeResult
from .errors import NodeContractBroken
from .graph import DynamicPrompt, Node, is_link
from .inputs import Outputs
from .schema import NodeClass, is_output_node, output_is_list


@dataclass(frozen=True)
class Expansion:
    """What one node's calls returned: outputs as values or links, and all nodes that they added."""

    nodes: dict[str, Node]
    results: list[tuple[tuple[Any, ...], bool]]
    ui: dict[str, list[Any]] | None

    @classmethod
    def of(cls, node_id: str, result: NodeResult, prompt: DynamicPrompt) -> Expansion:
        """Check what a node returned. Raises NodeContractBroken when an added id is taken."""
        nodes: dict[str, Node] = {}
        for graph in result.expansions:
            for added, node in graph.items():
                if added in nodes or prompt.has_node(added):
                    class_type = prompt.get_node(node_id)["class_type"]
                    raise NodeContractBroken(class_type, f"its expansion uses the id {added} again.")
                nodes[added] = node
        return cls(nodes, result.pending, result.ui)

    @property
    def sources(self) -> list[str]:
        """The nodes that the outputs come from."""
        found = [
            value[0] for values, expanded in self.results if expanded for value in values if is_link(value)
        ]
        return list(dict.fromkeys(found))

    def output_nodes(self, classes: Mapping[str, NodeClass]) -> Iterator[str]:
        """Added nodes that have to run although nothing may link to them."""
        for node_id, node in self.nodes.items():
            if is_output_node(classes.get(node["class_type"])):
                yield node_id


def resolve(
    node_class: NodeClass, expansion: Expansion, outputs_of: Callable[[str], Outputs | None]
) -> Outputs:
    """The outputs of an expanded node, now that what it links to has run: a list per output."""
    flags = output_is_list(node_class)
    merged: Outputs = [[] for _ in flags]
    for values, expanded in expansion.results:
        for index, value in enumerate(values[: len(flags)]):
            if expanded and is_link(value):
                outputs = outputs_of(value[0])
                merged[index] += outputs[int(value[1])] if outputs is not None else []
            elif flags[index] and isinstance(value, list | tuple):
                merged[index] += value
            else:
                merged[index].append(value)
    return merged
