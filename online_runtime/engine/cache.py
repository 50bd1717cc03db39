"""Results and node instances that outlive a prompt. Only what the last prompt used is kept."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from .schema import NodeClass


@dataclass(frozen=True)
class Result:
    """A node's outputs (a list per output) and what it showed, if anything."""

    outputs: list[list[Any]]
    ui: dict[str, list[Any]] | None = None


class ResultCache:
    """Results by signature. Entries of expanded nodes live as long as the node that expanded."""

    def __init__(self) -> None:
        self._entries: dict[str, tuple[str, Result]] = {}

    def get(self, signature: str) -> Result | None:
        found = self._entries.get(signature)
        return found[1] if found else None

    def put(self, signature: str, owner: str, result: Result) -> None:
        """Keep `result`; `owner` is the signature of the prompt's own node from which it comes."""
        self._entries[signature] = (owner, result)

    def keep_only(self, owners: set[str]) -> None:
        """Drop what no node of the coming prompt owns."""
        self._entries = {key: entry for key, entry in self._entries.items() if entry[0] in owners}

    def clear(self) -> None:
        self._entries.clear()

    def __len__(self) -> int:
        return len(self._entries)


class Instances:
    """One object per node id and class, reused between prompts: nodes keep state in it."""

    def __init__(self) -> None:
        self._objects: dict[tuple[str, str], Any] = {}

    def get(self, node_id: str, class_type: str, node_class: NodeClass) -> Any:
        """The node's object, made at its first use. Raises what the class's constructor raises."""
        key = (node_id, class_type)
        if key not in self._objects:
            self._objects[key] = node_class()
        return self._objects[key]

    def node_ids(self) -> set[str]:
        return {node_id for node_id, _ in self._objects}

    def keep_only(self, node_ids: set[str]) -> None:
        """Drop the objects of nodes that are not in the coming prompt."""
        self._objects = {key: item for key, item in self._objects.items() if key[0] in node_ids}

    def clear(self) -> None:
        self._objects.clear()
