"""A VAE's shape, read from the tensor shapes of a file, and its names on both sides."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .single_file import Shape

_ATTENTION = {"norm": "group_norm", "q": "to_q", "k": "to_k", "v": "to_v", "proj_out": "to_out.0"}


@dataclass(frozen=True)
class VAEShape:
    """`channels` from the finest level to the coarsest; `layers` of an encoder level."""

    channels: tuple[int, ...]
    layers: int
    latent_channels: int

    def diffusers(self) -> dict[str, Any]:
        """The configuration of an AutoencoderKL."""
        levels = len(self.channels)
        return {
            "in_channels": 3,
            "out_channels": 3,
            "block_out_channels": self.channels,
            "layers_per_block": self.layers,
            "latent_channels": self.latent_channels,
            "down_block_types": ["DownEncoderBlock2D"] * levels,
            "up_block_types": ["UpDecoderBlock2D"] * levels,
        }

    def prefixes(self) -> dict[str, str]:
        """Module prefixes in a checkpoint -> in diffusers."""
        table = {"quant_conv": "quant_conv", "post_quant_conv": "post_quant_conv"}
        for side in ("encoder", "decoder"):
            table |= _ends(side)
        levels = len(self.channels)
        for level in range(levels):
            table |= _level(f"encoder.down.{level}", f"encoder.down_blocks.{level}", self.layers)
            # A checkpoint counts the decoder's levels from the finest, diffusers from the coarsest.
            table |= _level(f"decoder.up.{levels - 1 - level}", f"decoder.up_blocks.{level}", self.layers + 1)
        return table


def _ends(side: str) -> dict[str, str]:
    table = {f"{side}.conv_in": f"{side}.conv_in", f"{side}.conv_out": f"{side}.conv_out"}
    table[f"{side}.norm_out"] = f"{side}.conv_norm_out"
    table |= _resnet(f"{side}.mid.block_1", f"{side}.mid_block.resnets.0")
    table |= _resnet(f"{side}.mid.block_2", f"{side}.mid_block.resnets.1")
    for theirs, diffusers in _ATTENTION.items():
        table[f"{side}.mid.attn_1.{theirs}"] = f"{side}.mid_block.attentions.0.{diffusers}"
    return table


def _level(theirs: str, diffusers: str, layers: int) -> dict[str, str]:
    table = {
        f"{theirs}.downsample.conv": f"{diffusers}.downsamplers.0.conv",
        f"{theirs}.upsample.conv": f"{diffusers}.upsamplers.0.conv",
    }
    for layer in range(layers):
        table |= _resnet(f"{theirs}.block.{layer}", f"{diffusers}.resnets.{layer}")
    return table


def _resnet(theirs: str, diffusers: str) -> dict[str, str]:
    table = {f"{theirs}.{name}": f"{diffusers}.{name}" for name in ("norm1", "conv1", "norm2", "conv2")}
    return table | {f"{theirs}.nin_shortcut": f"{diffusers}.conv_shortcut"}


def read_vae_shape(shapes: Mapping[str, Shape]) -> VAEShape:
    """The shape of the VAE whose tensors (names without their common prefix) are `shapes`.

    Raises ValueError, with a sentence, when they are no VAE of SD's kind.
    """
    channels: list[int] = []
    while (conv := shapes.get(f"encoder.down.{len(channels)}.block.0.conv1.weight")) is not None:
        channels.append(conv[0])
    latent = shapes.get("post_quant_conv.weight")
    if not channels or latent is None or len(shapes.get("decoder.conv_in.weight", ())) != 4:
        raise ValueError("it has no VAE of SD's kind")
    layers = 0
    while f"encoder.down.0.block.{layers}.conv1.weight" in shapes:
        layers += 1
    return VAEShape(channels=tuple(channels), layers=layers, latent_channels=latent[0])
