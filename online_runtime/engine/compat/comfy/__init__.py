"""`comfy`: the parts of ComfyUI's library that plugins use most; other parts are placeholders."""

from __future__ import annotations

import importlib
from typing import Any


def __getattr__(name: str) -> Any:
    # In ComfyUI, `import comfy` finds its submodules already imported.
    if name.startswith("__"):
        raise AttributeError(name)
    return importlib.import_module(f"comfy.{name}")
