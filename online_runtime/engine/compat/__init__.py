"""Modules that plugins import by ComfyUI's top-level names: `folder_paths`, `server`, `nodes`, `comfy.utils`…

What packs of plugins really use is real here; every other `comfy…` name imports as a placeholder whose use
says that it needs the comfyui engine.
"""

from __future__ import annotations

import importlib
import sys

from ..assembly import Engine
from .placeholders import PlaceholderFinder
from .server import PromptServer

# Imported by `install` only: `folder_paths` reads the folders, which are not in use before.
_MODULES = (
    "folder_paths",
    "server",
    "nodes",
    "execution",
    "node_helpers",
    "latent_preview",
    "comfy",
    "comfy.cli_args",
    "comfy.comfy_types",
    "comfy.comfy_types.node_typing",
    "comfy.model_management",
    "comfy.samplers",
    "comfy.utils",
    "comfy_execution",
    "comfy_execution.graph",
    "comfy_execution.graph_utils",
    "comfy_api",
    "comfy_api.latest",
    "comfy_api.latest._io",
    "comfy_api.latest._ui",
)

__all__ = ["PromptServer", "install"]


def install(engine: Engine) -> PromptServer:
    """Make the modules importable for plugins of `engine`. After folders.use and the engine's own nodes."""
    PromptServer.instance = PromptServer(engine)
    for name in _MODULES:
        module = importlib.import_module(f"{__package__}.{name}")
        sys.modules[name] = module
        parent, _, child = name.rpartition(".")
        if parent:
            setattr(sys.modules[parent], child, module)
    sys.modules["nodes"].fill(engine.registry)
    sys.modules["comfy.cli_args"].fill(engine.arguments)
    if not any(isinstance(finder, PlaceholderFinder) for finder in sys.meta_path):
        sys.meta_path.append(PlaceholderFinder())
    return PromptServer.instance
