"""`latent_preview`: placeholders; the engine's own samplers make their previews themselves."""

from __future__ import annotations

from typing import Any

from .placeholders import placeholder


def __getattr__(name: str) -> Any:
    if name.startswith("__"):
        raise AttributeError(name)
    return placeholder(f"latent_preview.{name}")
