"""The node classes that prompts may name, and what the plugins that brought them offer besides."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .schema import NodeClass, declared_inputs, is_output_node, output_is_list, return_types, takes_lists

log = logging.getLogger(__name__)

BUILTIN = "nodes"  # what /object_info names as the module of the engine's own nodes, as ComfyUI does

# Nodes of packs that the engine brings itself, so that common workflows run without the pack; where the pack
# is installed, its own are used.
STAND_INS = frozenset({"VHS_VideoCombine"})

# Class attributes that /object_info passes on when a class has them.
_PASSED_ON = {
    "OUTPUT_TOOLTIPS": "output_tooltips",
    "DEPRECATED": "deprecated",
    "EXPERIMENTAL": "experimental",
    "API_NODE": "api_node",
    "DEV_ONLY": "dev_only",
    "ESSENTIALS_CATEGORY": "essentials_category",
}


@dataclass(frozen=True)
class NodeRegistry:
    """Open while plugins load, read-only by custom afterwards."""

    classes: dict[str, NodeClass] = field(default_factory=dict)
    display_names: dict[str, str] = field(default_factory=dict)
    modules: dict[str, str] = field(default_factory=dict)
    web_directories: dict[str, Path] = field(default_factory=dict)
    plugin_folders: dict[str, Path] = field(default_factory=dict)

    def add(self, module: str, classes: Mapping[str, NodeClass], names: Mapping[str, str]) -> None:
        """Add the classes of `module`. The engine's own nodes are not replaced, which is
        logged, except those that stand in for a pack's."""
        for name, node_class in classes.items():
            owner = self.modules.get(name)
            if owner == BUILTIN and module != BUILTIN and name not in STAND_INS:
                log.warning("%s also brings a node %s; the engine's own one is kept", module, name)
                continue
            if owner is not None and owner != module and owner != BUILTIN:
                log.warning("Node %s of %s replaces the one of %s", name, module, owner)
            self.classes[name] = node_class
            self.modules[name] = module
            if name in names:
                self.display_names[name] = names[name]

    def describe_all(self) -> dict[str, Any]:
        """The whole of /object_info. A class whose INPUT_TYPES fails is left out and logged."""
        found = {}
        for name in self.classes:
            try:
                entry = self.describe(name)
                json.dumps(entry)  # one class with odd choices must not take all others down
                found[name] = entry
            except Exception:
                log.exception("Node %s of %s cannot be described", name, self.modules[name])
        return found

    def describe(self, name: str) -> dict[str, Any]:
        """The /object_info entry of class `name`. Raises KeyError, and what its INPUT_TYPES raises."""
        node_class = self.classes[name]
        declared = declared_inputs(node_class)
        outputs = return_types(node_class)
        entry = {
            "input": {category: dict(group) for category, group in declared.items()},
            "input_order": {category: list(group) for category, group in declared.items()},
            "is_input_list": takes_lists(node_class),
            "output": list(outputs),
            "output_is_list": list(output_is_list(node_class)),
            "output_name": list(getattr(node_class, "RETURN_NAMES", None) or outputs),
            "name": name,
            "display_name": self.display_names.get(name, name),
            "description": getattr(node_class, "DESCRIPTION", ""),
            "python_module": self.modules[name],
            "category": getattr(node_class, "CATEGORY", "sd"),
            "output_node": is_output_node(node_class),
            "has_intermediate_output": bool(getattr(node_class, "HAS_INTERMEDIATE_OUTPUT", False)),
            "search_aliases": list(getattr(node_class, "SEARCH_ALIASES", [])),
        }
        for attribute, key in _PASSED_ON.items():
            if hasattr(node_class, attribute):
                entry[key] = getattr(node_class, attribute)
        return entry
