"""A prompt as a graph: nodes, links between them, and what expansion adds while it runs. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeGuard

Node = Mapping[str, Any]  # {"class_type": str, "inputs": {name: literal or link}}


class ExecutionBlocker:
    """An output that keeps the nodes behind it from running; `message` None does so without a word."""

    def __init__(self, message: str | None = None) -> None:
        self.message = message


def is_link(value: Any) -> TypeGuard[list[Any]]:
    """Whether an input is a link `[node id, output index]`."""
    return (
        isinstance(value, list)
        and len(value) == 2
        and isinstance(value[0], str)
        and isinstance(value[1], int | float)
        and not isinstance(value[1], bool)
    )


def links_of(node: Node) -> Iterator[tuple[str, str, int]]:
    """Each linked input of `node`: its name, the node it comes from, and that node's output index."""
    for name, value in node.get("inputs", {}).items():
        if is_link(value):
            yield name, value[0], int(value[1])


@dataclass(frozen=True)
class Origin:
    """Where a node that an expansion added comes from: who returned it, and who shows it."""

    parent: str
    display: str


class DynamicPrompt:
    """The nodes of one prompt and those added by expansion. Nodes receive it as hidden DYNPROMPT."""

    def __init__(self, original_prompt: Mapping[str, Node]) -> None:
        self.original_prompt = original_prompt
        self._added: dict[str, Node] = {}
        self._origins: dict[str, Origin] = {}

    def get_node(self, node_id: str) -> Node:
        """The node `node_id`. Raises KeyError."""
        return self._added[node_id] if node_id in self._added else self.original_prompt[node_id]

    def has_node(self, node_id: str) -> bool:
        return node_id in self._added or node_id in self.original_prompt

    def all_node_ids(self) -> set[str]:
        return set(self.original_prompt) | set(self._added)

    def get_original_prompt(self) -> Mapping[str, Node]:
        """The prompt as it was sent, without what expansion added."""
        return self.original_prompt

    def add_ephemeral_node(self, node_id: str, node: Node, parent_id: str, display_id: str) -> None:
        """Add a node of an expansion of `parent_id`; people see its progress at `display_id`."""
        self._added[node_id] = node
        self._origins[node_id] = Origin(parent_id, display_id)

    def is_ephemeral(self, node_id: str) -> bool:
        return node_id in self._added

    def get_parent_node_id(self, node_id: str) -> str | None:
        """The node whose expansion added this one; None for a node of the original prompt."""
        origin = self._origins.get(node_id)
        return origin.parent if origin else None

    def get_real_node_id(self, node_id: str) -> str:
        """The node of the original prompt from which this one descends."""
        while (origin := self._origins.get(node_id)) is not None:
            node_id = origin.parent
        return node_id

    def get_display_node_id(self, node_id: str) -> str:
        """The node of the original prompt at which this one's progress is shown."""
        while (origin := self._origins.get(node_id)) is not None:
            node_id = origin.display
        return node_id
