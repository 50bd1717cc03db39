"""A UNet's shape, read from the tensor shapes of a checkpoint, and its names on both sides.

Names and structure are those of published SD checkpoints (`input_blocks`, `middle_block`, `output_blocks`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .single_file import Shape

_RESNET = {
    "in_layers.0": "norm1",
    "in_layers.2": "conv1",
    "emb_layers.1": "time_emb_proj",
    "out_layers.0": "norm2",
    "out_layers.3": "conv2",
    "skip_connection": "conv_shortcut",
}
_ENDS = {
    "time_embed.0": "time_embedding.linear_1",
    "time_embed.2": "time_embedding.linear_2",
    "label_emb.0.0": "add_embedding.linear_1",
    "label_emb.0.2": "add_embedding.linear_2",
    "input_blocks.0.0": "conv_in",
    "middle_block.1": "mid_block.attentions.0",
    "out.0": "conv_norm_out",
    "out.2": "conv_out",
}


@dataclass(frozen=True)
class UNetShape:
    """Levels from the finest to the coarsest: `channels` and transformer `depths` (0: no attention) of
    each."""

    in_channels: int
    out_channels: int
    channels: tuple[int, ...]
    depths: tuple[int, ...]
    layers: int
    middle_depth: int
    context_width: int
    linear_projection: bool
    added_width: int | None

    def diffusers(self, pooled_width: int | None) -> dict[str, Any]:
        """The configuration of a UNet2DConditionModel. `pooled_width` is SDXL's pooled text, None without
        it."""
        attending = [depth > 0 for depth in self.depths]
        config: dict[str, Any] = {
            "in_channels": self.in_channels,
            "out_channels": self.out_channels,
            "block_out_channels": self.channels,
            "layers_per_block": self.layers,
            "down_block_types": ["CrossAttnDownBlock2D" if a else "DownBlock2D" for a in attending],
            "up_block_types": ["CrossAttnUpBlock2D" if a else "UpBlock2D" for a in reversed(attending)],
            "transformer_layers_per_block": self._depths_with_middle(),
            "cross_attention_dim": self.context_width,
            "use_linear_projection": self.linear_projection,
            # Not in the tensors: 8 heads a level in SD1.x, heads of 64 channels in SD2.x and SDXL.
            "attention_head_dim": [max(1, c // 64) for c in self.channels] if self.linear_projection else 8,
        }
        if self.added_width is not None and pooled_width is not None:
            config |= {
                "addition_embed_type": "text_time",
                "addition_time_embed_dim": (self.added_width - pooled_width) // 6,
                "projection_class_embeddings_input_dim": self.added_width,
            }
        return config

    def _depths_with_middle(self) -> list[int]:
        # diffusers takes the middle block's depth from the last level, and ignores it on levels without
        # attention.
        return [*(max(1, depth) for depth in self.depths[:-1]), self.middle_depth]

    def prefixes(self) -> dict[str, str]:
        """Module prefixes in a checkpoint -> in diffusers."""
        table = dict(_ENDS)
        for place, name in ((0, "mid_block.resnets.0"), (2, "mid_block.resnets.1")):
            table |= _resnet(f"middle_block.{place}", name)
        for level in range(len(self.channels)):
            table |= self._down(level) | self._up(level)
        return table

    def _down(self, level: int) -> dict[str, str]:
        table: dict[str, str] = {}
        first = 1 + level * (self.layers + 1)
        for layer in range(self.layers):
            table |= _resnet(f"input_blocks.{first + layer}.0", f"down_blocks.{level}.resnets.{layer}")
            table[f"input_blocks.{first + layer}.1"] = f"down_blocks.{level}.attentions.{layer}"
        if level < len(self.channels) - 1:
            table[f"input_blocks.{first + self.layers}.0.op"] = f"down_blocks.{level}.downsamplers.0.conv"
        return table

    def _up(self, level: int) -> dict[str, str]:
        """`level` counts from the coarsest here, as both sides do."""
        table: dict[str, str] = {}
        first = level * (self.layers + 1)
        attends = self.depths[len(self.depths) - 1 - level] > 0
        for layer in range(self.layers + 1):
            table |= _resnet(f"output_blocks.{first + layer}.0", f"up_blocks.{level}.resnets.{layer}")
            if attends:
                table[f"output_blocks.{first + layer}.1"] = f"up_blocks.{level}.attentions.{layer}"
        if level < len(self.channels) - 1:
            place = 2 if attends else 1
            table[f"output_blocks.{first + self.layers}.{place}.conv"] = (
                f"up_blocks.{level}.upsamplers.0.conv"
            )
        return table


def _resnet(ours: str, diffusers: str) -> dict[str, str]:
    return {f"{ours}.{a}": f"{diffusers}.{b}" for a, b in _RESNET.items()}


@dataclass(frozen=True)
class _Layer:
    channels: int
    depth: int


def read_unet_shape(shapes: Mapping[str, Shape]) -> UNetShape:
    """The shape of the UNet whose tensors (names without their common prefix) are `shapes`.

    Raises ValueError, with a sentence, when they do not form a UNet that diffusers can build.
    """
    levels = _levels(shapes)
    if len({len(level) for level in levels}) != 1:
        raise ValueError("its UNet has levels with different numbers of layers")
    if any(len(set(level)) != 1 for level in levels):
        raise ValueError("its UNet has layers of different shapes in one level")
    channels, depths = zip(*((level[0].channels, level[0].depth) for level in levels), strict=True)
    middle = _depth(shapes, "middle_block.1")
    if middle == 0 or depths[-1] not in (0, middle):
        raise ValueError("its UNet's middle block has another depth than the level before it")
    context, projection = _attention(shapes)
    added = shapes.get("label_emb.0.0.weight")
    return UNetShape(
        in_channels=shapes["input_blocks.0.0.weight"][1],
        out_channels=_known(shapes, "out.2.weight")[0],
        channels=channels,
        depths=depths,
        layers=len(levels[0]),
        middle_depth=middle,
        context_width=context,
        linear_projection=len(projection) == 2,
        added_width=added[1] if added else None,
    )


def _levels(shapes: Mapping[str, Shape]) -> list[list[_Layer]]:
    levels: list[list[_Layer]] = [[]]
    place = 1
    while True:
        if (conv := shapes.get(f"input_blocks.{place}.0.out_layers.3.weight")) is not None:
            levels[-1].append(_Layer(conv[0], _depth(shapes, f"input_blocks.{place}.1")))
        elif f"input_blocks.{place}.0.op.weight" in shapes:
            levels.append([])
        else:
            break
        place += 1
    if not all(levels):
        raise ValueError("its UNet has a level without layers")
    return levels


def _depth(shapes: Mapping[str, Shape], prefix: str) -> int:
    depth = 0
    while f"{prefix}.transformer_blocks.{depth}.norm1.weight" in shapes:
        depth += 1
    return depth


def _attention(shapes: Mapping[str, Shape]) -> tuple[int, Shape]:
    """Width of the text context, and the shape of the projection around the middle attention."""
    context = _known(shapes, "middle_block.1.transformer_blocks.0.attn2.to_k.weight")[1]
    return context, _known(shapes, "middle_block.1.proj_in.weight")


def _known(shapes: Mapping[str, Shape], name: str) -> Shape:
    if name not in shapes:
        raise ValueError(f"its UNet has no {name}")
    return shapes[name]
