"""A VAE's shape, read from the tensor shapes of a file, and its names on both sides."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .single_file import Shape

# Early diffusers wrote a VAE's attention under these names.
_OLD_ATTENTION = {"query": "to_q", "key": "to_k", "value": "to_v", "proj_attn": "to_out.0"}
_TIME_LAYERS = {
    "in_layers.0": "norm1",
    "in_layers.2": "conv1",
    "out_layers.0": "norm2",
    "out_layers.3": "conv2",
}
_ATTENTION = {"norm": "group_norm", "q": "to_q", "k": "to_k", "v": "to_v", "proj_out": "to_out.0"}


@dataclass(frozen=True)
class VAEShape:
    """`channels` from the finest level to the coarsest; `layers` of an encoder level.

    `temporal`: the decoder looks at neighbouring frames too (SVD's).
    """

    channels: tuple[int, ...]
    layers: int
    latent_channels: int
    temporal: bool = False

    def diffusers(self) -> dict[str, Any]:
        """The configuration of an AutoencoderKL, or of an AutoencoderKLTemporalDecoder."""
        levels = len(self.channels)
        config = {
            "in_channels": 3,
            "out_channels": 3,
            "block_out_channels": self.channels,
            "layers_per_block": self.layers,
            "latent_channels": self.latent_channels,
            "down_block_types": ["DownEncoderBlock2D"] * levels,
        }
        return config if self.temporal else config | {"up_block_types": ["UpDecoderBlock2D"] * levels}

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
        return _with_time(table) if self.temporal else table


def _with_time(table: dict[str, str]) -> dict[str, str]:
    """`table` for a decoder whose every block has a second half over time."""
    timed = {"decoder.conv_out.time_mix_conv": "decoder.time_conv_out"}
    for theirs, diffusers in table.items():
        if not theirs.startswith("decoder.") or ".resnets." not in diffusers:
            timed[theirs] = diffusers
            continue
        block, layer = diffusers.rsplit(".", 1)
        timed[theirs] = f"{block}.spatial_res_block.{layer}"
        their_block = theirs.rsplit(".", 1)[0]
        timed[f"{their_block}.mix_factor"] = f"{block}.time_mixer.mix_factor"
        for a, b in _TIME_LAYERS.items():
            timed[f"{their_block}.time_stack.{a}"] = f"{block}.temporal_res_block.{b}"
    return timed


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
    temporal = "decoder.mid.block_1.time_stack.in_layers.0.weight" in shapes
    return _read(shapes, "encoder.down.{}.block.{}.conv1.weight", temporal)


def is_diffusers_vae(shapes: Mapping[str, Shape]) -> bool:
    """Whether `shapes` are a VAE's in diffusers' own layout."""
    return "encoder.down_blocks.0.resnets.0.conv1.weight" in shapes


def read_diffusers_vae_shape(shapes: Mapping[str, Shape]) -> VAEShape:
    """As read_vae_shape, for a VAE in diffusers' own layout."""
    temporal = "decoder.time_conv_out.weight" in shapes
    return _read(shapes, "encoder.down_blocks.{}.resnets.{}.conv1.weight", temporal)


def present_name(name: str) -> str:
    """A tensor's name in diffusers' own layout as it is written today."""
    parts = name.split(".")
    if "attentions" in parts and parts[-2] in _OLD_ATTENTION:
        return ".".join([*parts[:-2], _OLD_ATTENTION[parts[-2]], parts[-1]])
    return name


def _read(shapes: Mapping[str, Shape], convolution: str, temporal: bool) -> VAEShape:
    channels: list[int] = []
    while (conv := shapes.get(convolution.format(len(channels), 0))) is not None:
        channels.append(conv[0])
    latents = shapes.get("decoder.conv_in.weight", ())
    if not channels or len(latents) != 4:
        raise ValueError("it has no VAE of SD's kind")
    layers = 0
    while convolution.format(0, layers) in shapes:
        layers += 1
    return VAEShape(tuple(channels), layers, latents[1], temporal)
