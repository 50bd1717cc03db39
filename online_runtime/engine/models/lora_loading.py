"""A LoRA file on top of MODEL and CLIP objects."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from . import memory
from .diffusion import DiffusionModel
from .lora import Change, match, read_lora
from .text import TextEncoders


def with_lora(
    path: Path,
    model: DiffusionModel,
    clip: TextEncoders | None,
    strength_model: float,
    strength_clip: float,
) -> tuple[DiffusionModel, TextEncoders | None]:
    """`model` and `clip` with the LoRA `path`; those given stay as they were. Raises LoraUnusable,
    WeightsError."""
    file = memory.loaded(path, "lora", lambda: read_lora(path))
    texts = [encoder.network.module for encoder in clip.encoders] if clip else []
    matched = match(file, model.unet.module, model.shape.prefixes(), texts)
    if strength_model:
        model = model.with_lora(_times(matched.unet, strength_model))
    if clip and strength_clip:
        clip = clip.with_lora([_times(changes, strength_clip) for changes in matched.texts])
    return model, clip


def _times(changes: Mapping[str, Change], strength: float) -> dict[str, Change]:
    return {name: change.times(strength) for name, change in changes.items()}
