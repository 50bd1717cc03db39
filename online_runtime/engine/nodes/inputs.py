"""Inputs that many nodes declare, in ComfyUI's form: a type and its options."""

from __future__ import annotations

from typing import Any

# ComfyUI's own limit for the side of a picture, in pixels.
MAX_RESOLUTION = 16384

Input = tuple[Any, ...]
Inputs = dict[str, dict[str, Input | str]]


def side(default: int = 512, low: int = 16, step: int = 8) -> Input:
    """The width or height of a picture in pixels."""
    return "INT", {"default": default, "min": low, "max": MAX_RESOLUTION, "step": step}


def batch_size() -> Input:
    """How many pictures at once."""
    return "INT", {"default": 1, "min": 1, "max": 4096}


def strength() -> Input:
    """How strongly a LoRA counts; below 0 it counts the other way."""
    return "FLOAT", {"default": 1.0, "min": -100.0, "max": 100.0, "step": 0.01}


def factor(default: float) -> Input:
    """How many times larger a picture becomes."""
    return "FLOAT", {"default": default, "min": 0.01, "max": 8.0, "step": 0.01}
