"""What makes a node's result the same as before: its class, literals, IS_CHANGED and all that it links to."""

from __future__ import annotations

import hashlib
import json
import math
import uuid
from collections.abc import Mapping, Sequence
from typing import Any

from .errors import GraphLoop
from .graph import DynamicPrompt, is_link, links_of
from .schema import NodeClass, declared_inputs, hidden_inputs


class Signatures:
    """Signatures of the nodes of one prompt. `changes` maps node ids to what their IS_CHANGED returned."""

    def __init__(
        self, prompt: DynamicPrompt, classes: Mapping[str, NodeClass], changes: Mapping[str, Any]
    ) -> None:
        self._prompt = prompt
        self._classes = classes
        self._changes = changes
        self._known: dict[str, str] = {}

    def of(self, node_id: str) -> str:
        """The signature of `node_id`; equal signatures mean equal results. Raises GraphLoop, KeyError."""
        # Not by recursion: chains of hundreds of nodes are ordinary.
        todo, entered = [node_id], dict[str, None]()
        while todo:
            current = todo[-1]
            if current in self._known:
                todo.pop()
                continue
            behind = [s for _, s, _ in links_of(self._prompt.get_node(current)) if s not in self._known]
            if not behind:
                self._known[todo.pop()] = self._compute(current)
                entered.pop(current, None)
            elif current in entered:
                raise GraphLoop(list(entered))
            else:
                entered[current] = None
                todo += behind
        return self._known[node_id]

    def _compute(self, node_id: str) -> str:
        node = self._prompt.get_node(node_id)
        node_class = self._classes[node["class_type"]]
        parts: list[Any] = [node["class_type"], canonical(self._changes.get(node_id, False))]
        if _depends_on_its_id(node_class):
            parts.append(node_id)
        for name, value in sorted(node.get("inputs", {}).items()):
            if is_link(value):
                parts.append([name, "link", self._known[value[0]], int(value[1])])
            else:
                parts.append([name, "literal", canonical(value)])
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def canonical(value: Any) -> Any:
    """`value` as JSON, equal for equal values; what cannot be compared equals nothing, not even itself."""
    if value is None or isinstance(value, str | bool | int):
        return value
    if isinstance(value, float) and math.isfinite(value):
        return value
    if isinstance(value, bytes):
        return ["bytes", value.hex()]
    if isinstance(value, Mapping):
        return ["mapping", sorted([str(key), canonical(item)] for key, item in value.items())]
    if isinstance(value, Sequence):
        return ["sequence", [canonical(item) for item in value]]
    return ["unlike any other", uuid.uuid4().hex]


def _depends_on_its_id(node_class: NodeClass) -> bool:
    if getattr(node_class, "NOT_IDEMPOTENT", False):
        return True
    return "UNIQUE_ID" in hidden_inputs(declared_inputs(node_class)).values()
