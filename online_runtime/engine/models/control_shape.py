"""A ControlNet's shape, read from tensor shapes, and its names on both sides."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .renaming import inverted, renamed
from .single_file import Shape
from .unet_shape import UNetShape, read_unet_shape

if TYPE_CHECKING:
    from torch import Tensor

_CHECKPOINT = "control_model."
# The small network that brings the picture down to the latent's size: convolutions at every other place.
_PICTURE_LAYERS = 6


@dataclass(frozen=True)
class ControlShape:
    """`unet` is the first half's shape, `picture` the channels of the picture's own layers. `prefix` is of
    the tensors in the file; empty for diffusers' layout."""

    unet: UNetShape
    picture: tuple[int, ...]
    pooled_width: int | None
    prefix: str

    def diffusers(self) -> dict[str, Any]:
        """The configuration of a ControlNetModel."""
        config = self.unet.diffusers(self.pooled_width)
        for name in ("up_block_types", "out_channels"):
            del config[name]
        return config | {"conditioning_embedding_out_channels": self.picture}

    def named_for_diffusers(self, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """`tensors` (names without the prefix) under diffusers' names."""
        if not self.prefix:
            return dict(tensors)
        table = self.unet.prefixes() | _own_names(self.unet)
        named = {}
        for name, tensor in tensors.items():
            if (new := renamed(name, table)) is not None:
                named[new] = tensor
        return named


def read_control_shape(shapes: Mapping[str, Shape]) -> ControlShape:
    """The shape of the ControlNet whose tensors are `shapes`.

    Raises ValueError, with a sentence, when they are none.
    """
    if f"{_CHECKPOINT}input_hint_block.0.weight" in shapes:
        plain = {n.removeprefix(_CHECKPOINT): s for n, s in shapes.items() if n.startswith(_CHECKPOINT)}
        return _shape(plain, _CHECKPOINT)
    if "controlnet_cond_embedding.conv_in.weight" in shapes:
        return _shape(_as_checkpoint(shapes), "")
    raise ValueError("it is no ControlNet of SD's kind")


def _shape(shapes: Mapping[str, Shape], prefix: str) -> ControlShape:
    # A ControlNet has no last layer; the reader of UNets only takes its width from there.
    unet = read_unet_shape({**shapes, "out.2.weight": (4,)})
    hints = [shapes[f"input_hint_block.{2 * at}.weight"] for at in range(_PICTURE_LAYERS + 1)]
    picture = (hints[0][0], *(hints[at][0] for at in (2, 4, 6)))
    # SDXL's second text encoder is this wide; a ControlNet's file does not say it.
    pooled = 1280 if unet.added_width == 2816 else None
    if unet.added_width is not None and pooled is None:
        raise ValueError(f"it takes {unet.added_width} added numbers, which no known family gives")
    return ControlShape(unet, picture, pooled, prefix)


def _own_names(unet: UNetShape) -> dict[str, str]:
    table = {"middle_block_out.0": "controlnet_mid_block"}
    inner = "controlnet_cond_embedding"
    table["input_hint_block.0"] = f"{inner}.conv_in"
    for at in range(_PICTURE_LAYERS):
        table[f"input_hint_block.{2 * (at + 1)}"] = f"{inner}.blocks.{at}"
    table[f"input_hint_block.{2 * (_PICTURE_LAYERS + 1)}"] = f"{inner}.conv_out"
    for at in range(len(unet.channels) * (unet.layers + 1)):
        table[f"zero_convs.{at}.0"] = f"controlnet_down_blocks.{at}"
    return table


def _as_checkpoint(shapes: Mapping[str, Shape]) -> dict[str, Shape]:
    """`shapes` in diffusers' layout under a checkpoint's names, as far as the reader of shapes looks."""
    levels = 0
    while f"down_blocks.{levels}.resnets.0.conv1.weight" in shapes:
        levels += 1
    layers = 0
    while f"down_blocks.0.resnets.{layers}.conv1.weight" in shapes:
        layers += 1
    guess = UNetShape(4, 4, (1,) * levels, (1,) * levels, layers, 1, 1, False, None)
    table = inverted(guess.prefixes() | _own_names(guess))
    found = {renamed(name, table): shape for name, shape in shapes.items()}
    return {name: shape for name, shape in found.items() if name is not None}
