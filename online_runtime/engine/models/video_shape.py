"""SVD's UNet: SD's, with a second half over time in each block. Its configuration and names on both sides."""

from __future__ import annotations

from typing import Any

from .unet_shape import UNetShape

# A tensor that only UNets over time have, below the UNet's prefix.
MARK = "input_blocks.1.0.time_stack.in_layers.0.weight"

# Of a block's second half: the same layers as those of the first, in three dimensions.
_TIME_LAYERS = {
    "in_layers.0": "norm1",
    "in_layers.2": "conv1",
    "emb_layers.1": "time_emb_proj",
    "out_layers.0": "norm2",
    "out_layers.3": "conv2",
}
_FIRST = ".in_layers.0"


def diffusers(shape: UNetShape) -> dict[str, Any]:
    """The configuration of a UNetSpatioTemporalConditionModel. `shape` has an added width: three numbers'."""
    assert shape.added_width is not None, "checked by whoever read the file"
    attending = [depth > 0 for depth in shape.depths]
    down = ["CrossAttnDownBlockSpatioTemporal" if a else "DownBlockSpatioTemporal" for a in attending]
    up = ["CrossAttnUpBlockSpatioTemporal" if a else "UpBlockSpatioTemporal" for a in reversed(attending)]
    return {
        "in_channels": shape.in_channels,
        "out_channels": shape.out_channels,
        "block_out_channels": shape.channels,
        "layers_per_block": shape.layers,
        "down_block_types": down,
        "up_block_types": up,
        "transformer_layers_per_block": [*(max(1, d) for d in shape.depths[:-1]), shape.middle_depth],
        "cross_attention_dim": shape.context_width,
        # Heads of 64 channels, as published.
        "num_attention_heads": [max(1, channels // 64) for channels in shape.channels],
        "addition_time_embed_dim": shape.added_width // 3,
        "projection_class_embeddings_input_dim": shape.added_width,
    }


def prefixes(shape: UNetShape) -> dict[str, str]:
    """Module prefixes in a checkpoint -> in diffusers."""
    table: dict[str, str] = {}
    for theirs, ours in shape.prefixes().items():
        if ".attentions." in f".{ours}.":
            table |= _attention(theirs, ours)
        elif ".resnets." in ours:
            block, layer = ours.rsplit(".", 1)
            table[theirs] = f"{block}.spatial_res_block.{layer}"
            if theirs.endswith(_FIRST):
                table |= _over_time(theirs.removesuffix(_FIRST), block)
        else:
            table[theirs] = ours
    return table


def _over_time(theirs: str, ours: str) -> dict[str, str]:
    table = {f"{theirs}.time_mixer": f"{ours}.time_mixer"}
    for a, b in _TIME_LAYERS.items():
        table[f"{theirs}.time_stack.{a}"] = f"{ours}.temporal_res_block.{b}"
    return table


def _attention(theirs: str, ours: str) -> dict[str, str]:
    return {
        theirs: ours,
        f"{theirs}.time_stack": f"{ours}.temporal_transformer_blocks",
        f"{theirs}.time_pos_embed.0": f"{ours}.time_pos_embed.linear_1",
        f"{theirs}.time_pos_embed.2": f"{ours}.time_pos_embed.linear_2",
    }
