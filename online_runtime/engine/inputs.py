"""The values that a node receives: literals, results of linked nodes, and hidden inputs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from .graph import DynamicPrompt, is_link
from .schema import NodeClass, declared_inputs, hidden_inputs, input_spec

Outputs = list[list[Any]]


@dataclass(frozen=True)
class Gathered:
    """A list per input, and the linked inputs whose node has not run (they hold None)."""

    values: dict[str, list[Any]]
    missing: frozenset[str]


@dataclass(frozen=True)
class HiddenValues:
    """What a prompt hands to hidden inputs. `secrets` holds the auth keys, which no answer shows."""

    prompt: DynamicPrompt
    extra_data: Mapping[str, Any]
    secrets: Mapping[str, Any]

    def get(self, kind: str, node_id: str) -> Any:
        """The value of hidden kind `kind` for `node_id`; None for a kind that this engine does not know."""
        if kind == "PROMPT":
            return self.prompt.get_original_prompt()
        if kind == "DYNPROMPT":
            return self.prompt
        if kind == "UNIQUE_ID":
            return node_id
        if kind == "EXTRA_PNGINFO":
            return self.extra_data.get("extra_pnginfo")
        return self.secrets.get(kind.lower())


def gather(
    node_class: NodeClass,
    node_id: str,
    hidden: HiddenValues,
    outputs_of: Callable[[str], Outputs | None],
) -> Gathered:
    """The values for one node. `outputs_of` gives a node's outputs, None while it has none."""
    declared = declared_inputs(node_class)
    values: dict[str, list[Any]] = {}
    missing: set[str] = set()
    for name, value in hidden.prompt.get_node(node_id).get("inputs", {}).items():
        spec = input_spec(declared, name)
        if is_link(value) and not (spec and spec.raw_link):
            outputs = outputs_of(value[0])
            if outputs is None:
                missing.add(name)
                values[name] = [None]
            else:
                values[name] = outputs[int(value[1])]
        elif spec is not None and spec.category != "hidden":
            values[name] = [value]
    for name, kind in hidden_inputs(declared).items():
        values[name] = [hidden.get(kind, node_id)]
    return Gathered(values, frozenset(missing))
