"""What a node class declares: its inputs, outputs and hidden inputs, in ComfyUI's class protocol."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

NodeClass = Any  # A class in ComfyUI's node protocol; its attributes are what this module reads.


@dataclass(frozen=True)
class InputSpec:
    """One declared input: `type` is a name or a list of choices, `options` its second element."""

    name: str
    type: Any
    options: Mapping[str, Any]
    category: str  # required, optional or hidden

    @property
    def lazy(self) -> bool:
        return bool(self.options.get("lazy"))

    @property
    def raw_link(self) -> bool:
        return bool(self.options.get("rawLink"))

    @property
    def choices(self) -> list[Any] | None:
        """The allowed values of a combination; None for another type."""
        if isinstance(self.type, list | tuple):
            return list(self.type)
        if self.type == "COMBO":
            return list(self.options.get("options", []))
        return None

    @property
    def config(self) -> list[Any]:
        """`[type, options]`, as errors show it."""
        return [self.type, dict(self.options)]


def declared_inputs(node_class: NodeClass) -> Mapping[str, Any]:
    """The class's INPUT_TYPES(), called anew because choices such as file names change."""
    declared: Mapping[str, Any] = node_class.INPUT_TYPES()
    return declared


def input_spec(declared: Mapping[str, Any], name: str) -> InputSpec | None:
    """The declaration of input `name`; None when there is none.

    Asks by `in` and `[]` only: plugins declare open sets of inputs by mappings that answer to any name.
    """
    for category in ("required", "optional", "hidden"):
        group = declared.get(category, {})
        if name in group:
            return _spec(name, group[name], category)
    return None


def input_specs(declared: Mapping[str, Any]) -> Iterator[InputSpec]:
    """All listed inputs that a prompt may give: required ones, then optional ones."""
    for category in ("required", "optional"):
        for name, info in declared.get(category, {}).items():
            yield _spec(name, info, category)


def hidden_inputs(declared: Mapping[str, Any]) -> dict[str, str]:
    """Parameter name to what it receives: PROMPT, DYNPROMPT, EXTRA_PNGINFO, UNIQUE_ID and so on."""
    hidden = {}
    for name, kind in declared.get("hidden", {}).items():
        hidden[name] = kind[0] if isinstance(kind, list | tuple) else kind
    return hidden


def return_types(node_class: NodeClass) -> tuple[Any, ...]:
    return tuple(node_class.RETURN_TYPES)


def output_is_list(node_class: NodeClass) -> tuple[bool, ...]:
    """For each output, whether the node returns a list that downstream nodes are mapped over."""
    declared = tuple(getattr(node_class, "OUTPUT_IS_LIST", ()))
    return tuple(bool(flag) for flag in declared) or (False,) * len(return_types(node_class))


def is_output_node(node_class: NodeClass) -> bool:
    return getattr(node_class, "OUTPUT_NODE", False) is True


def takes_lists(node_class: NodeClass) -> bool:
    return bool(getattr(node_class, "INPUT_IS_LIST", False))


def parameters(function: Any) -> tuple[set[str], bool]:
    """The parameter names of `function`, and whether it takes any keyword (`**kwargs`)."""
    found = inspect.signature(function).parameters.values()
    return {p.name for p in found}, any(p.kind is p.VAR_KEYWORD for p in found)


def _spec(name: str, info: Any, category: str) -> InputSpec:
    if not isinstance(info, list | tuple):
        return InputSpec(name, info, {}, category)
    options = info[1] if len(info) > 1 and isinstance(info[1], Mapping) else {}
    return InputSpec(name, info[0], options, category)
