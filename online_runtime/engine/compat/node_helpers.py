"""`node_helpers`: small functions that many plugins use."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any


def conditioning_set_values(
    conditioning: list[list[Any]], values: dict[str, Any] | None = None, append: bool = False
) -> list[list[Any]]:
    """A copy of `conditioning` [[tensor, dict]] with `values` set; `append` adds them to lists there."""
    changed = []
    for tensor, options in conditioning:
        merged = dict(options)
        for key, value in (values or {}).items():
            old = merged.get(key)
            merged[key] = [*old, *value] if append and old is not None else value
        changed.append([tensor, merged])
    return changed


def pillow(function: Callable[[Any], Any], argument: Any) -> Any:
    """Call a Pillow function on a picture that may be cut off."""
    from PIL import ImageFile

    try:
        return function(argument)
    except (OSError, SyntaxError, ValueError):
        before = ImageFile.LOAD_TRUNCATED_IMAGES
        ImageFile.LOAD_TRUNCATED_IMAGES = True
        try:
            return function(argument)
        finally:
            ImageFile.LOAD_TRUNCATED_IMAGES = before


def image_alpha_fix(destination: Any, source: Any) -> tuple[Any, Any]:
    """Two pictures [B, H, W, C] with equally many channels: alpha is added to `source`, or cut from it."""
    import torch

    more = destination.shape[-1] - source.shape[-1]
    if more > 0:
        return destination, torch.nn.functional.pad(source, (0, more), value=1.0)
    return destination, source[..., : destination.shape[-1]]


def hasher() -> Callable[..., Any]:
    """The hash function for file contents."""
    return hashlib.sha256


def string_to_torch_dtype(string: str) -> Any:
    """The dtype that `fp32`, `fp16` or `bf16` names; None for another word."""
    import torch

    return {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}.get(string)
