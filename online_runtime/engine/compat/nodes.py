"""`nodes`: the engine's own node classes, for plugins that subclass or call them."""

from __future__ import annotations

from typing import Any

from ..registry import BUILTIN, NodeRegistry
from . import placeholders
from .comfy.model_management import interrupt_current_processing, throw_exception_if_processing_interrupted

MAX_RESOLUTION = 16384  # ComfyUI's largest side of a picture
NODE_CLASS_MAPPINGS: dict[str, Any] = {}
NODE_DISPLAY_NAME_MAPPINGS: dict[str, str] = {}
EXTENSION_WEB_DIRS: dict[str, Any] = {}


def fill(registry: NodeRegistry) -> None:
    """Show all classes of `registry`, those that plugins add later too."""
    global NODE_CLASS_MAPPINGS, NODE_DISPLAY_NAME_MAPPINGS, EXTENSION_WEB_DIRS
    NODE_CLASS_MAPPINGS = registry.classes
    NODE_DISPLAY_NAME_MAPPINGS = registry.display_names
    EXTENSION_WEB_DIRS = registry.web_directories
    for name, node_class in registry.classes.items():
        if registry.modules[name] == BUILTIN:
            globals()[node_class.__name__] = node_class


def before_node_execution() -> None:
    """Raise InterruptProcessingException when the prompt was asked to stop."""
    throw_exception_if_processing_interrupted()


def interrupt_processing(value: bool = True) -> None:
    """Ask the running prompt to stop."""
    interrupt_current_processing(value)


def __getattr__(name: str) -> Any:
    # Classes that ComfyUI has and this engine does not import as placeholders.
    if name[:1].isupper() or name == "common_ksampler":
        return placeholders.placeholder(f"nodes.{name}")
    raise AttributeError(f"module 'nodes' has no attribute {name!r}")
