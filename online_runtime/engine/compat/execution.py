"""`execution`: the names that plugins import from ComfyUI's executor."""

from __future__ import annotations

from typing import Any

from ..graph import ExecutionBlocker
from .placeholders import placeholder

__all__ = ["ExecutionBlocker"]


def __getattr__(name: str) -> Any:
    if name.startswith("__"):
        raise AttributeError(name)
    return placeholder(f"execution.{name}")
