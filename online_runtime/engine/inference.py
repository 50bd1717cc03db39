"""Running without gradients, for prompts that can meet torch."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from .graph import Node
from .registry import NodeRegistry

_BUILTIN_NODES = f"{__package__}.nodes"


def inference_mode(prompt: Mapping[str, Node], registry: NodeRegistry) -> AbstractContextManager[Any]:
    """torch.inference_mode() when torch is loaded or the engine's own nodes may load it; else nothing.

    Importing torch takes seconds, so prompts of plugins that do without it do not pay for it.
    """
    modules = [str(registry.classes[node["class_type"]].__module__) for node in prompt.values()]
    builtin = any(name.startswith(_BUILTIN_NODES) for name in modules)
    if "torch" not in sys.modules and not (builtin and importlib.util.find_spec("torch")):
        return nullcontext()
    import torch

    return torch.inference_mode()
