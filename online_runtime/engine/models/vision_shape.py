"""A CLIP image encoder's shape, read from tensor shapes, and its names on both sides.

Two writings occur: OpenCLIP's (inside SVD checkpoints) and that of transformers (files of their own).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .renaming import renamed
from .single_file import Shape
from .text_shape import split_attention

if TYPE_CHECKING:
    from torch import Tensor

_ENDS = {
    "class_embedding": "vision_model.embeddings.class_embedding",
    "positional_embedding": "vision_model.embeddings.position_embedding.weight",
    "conv1": "vision_model.embeddings.patch_embedding",
    "ln_pre": "vision_model.pre_layrnorm",
    "ln_post": "vision_model.post_layernorm",
}
_LAYER = {
    "ln_1": "layer_norm1",
    "ln_2": "layer_norm2",
    "mlp.c_fc": "mlp.fc1",
    "mlp.c_proj": "mlp.fc2",
    "attn.out_proj": "self_attn.out_proj",
}
# Not in the tensors: heads have 64 channels except in the largest published encoders, which have 16 heads.
_SIXTEEN_HEADS = frozenset({1024, 1280, 1408, 1664})


@dataclass(frozen=True)
class VisionShape:
    """`picture` and `patch` are sides in pixels; `projection` is the width of what a picture becomes."""

    width: int
    feedforward: int
    layers: int
    patch: int
    picture: int
    projection: int
    openclip: bool

    def transformers(self) -> dict[str, Any]:
        """The configuration of a CLIPVisionModelWithProjection."""
        return {
            "hidden_size": self.width,
            "intermediate_size": self.feedforward,
            "num_hidden_layers": self.layers,
            "num_attention_heads": 16 if self.width in _SIXTEEN_HEADS else max(1, self.width // 64),
            "patch_size": self.patch,
            "image_size": self.picture,
            "projection_dim": self.projection,
            # OpenAI's encoder (width 1024) has the quick form, OpenCLIP's have the exact one.
            "hidden_act": "gelu" if self.openclip or self.width != 1024 else "quick_gelu",
        }

    def prefixes(self) -> dict[str, str]:
        """Module prefixes in OpenCLIP's writing -> in transformers'; attention and projection aside."""
        table = dict(_ENDS)
        for layer in range(self.layers):
            for theirs, ours in _LAYER.items():
                table[f"transformer.resblocks.{layer}.{theirs}"] = (
                    f"vision_model.encoder.layers.{layer}.{ours}"
                )
        return table

    def named_for_transformers(self, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """`tensors` (names without their common prefix) under transformers' names."""
        if not self.openclip:
            return {name: tensor for name, tensor in tensors.items() if not name.endswith("position_ids")}
        named: dict[str, Tensor] = {}
        table = self.prefixes()
        for name, tensor in tensors.items():
            if ".attn.in_proj_" in name:
                named |= {f"vision_model.{n}": t for n, t in split_attention(name, tensor).items()}
            elif name == "proj":
                named["visual_projection.weight"] = tensor.T.contiguous()
            elif (new := renamed(name, table)) is not None:
                named[new] = tensor
        return named


def read_vision_shape(shapes: Mapping[str, Shape]) -> VisionShape:
    """The shape of the image encoder whose tensors (names without their common prefix) are `shapes`.

    Raises ValueError, with a sentence, when they are none.
    """
    openclip = "conv1.weight" in shapes
    if openclip:
        names = ("conv1.weight", "positional_embedding", "proj", "transformer.resblocks.0.mlp.c_fc.weight")
        layer = "transformer.resblocks.{}.ln_1.weight"
    else:
        inner = "vision_model."
        names = (
            f"{inner}embeddings.patch_embedding.weight",
            f"{inner}embeddings.position_embedding.weight",
            "visual_projection.weight",
            f"{inner}encoder.layers.0.mlp.fc1.weight",
        )
        layer = f"{inner}encoder.layers.{{}}.layer_norm1.weight"
    if missing := [name for name in names if name not in shapes]:
        raise ValueError(f"it is no CLIP image encoder: it has no {missing[0]}")
    patches, positions, projection, first = (shapes[name] for name in names)
    layers = 0
    while layer.format(layers) in shapes:
        layers += 1
    return VisionShape(
        width=patches[0],
        feedforward=first[0],
        layers=layers,
        patch=patches[2],
        picture=math.isqrt(positions[0] - 1) * patches[2],
        projection=projection[1] if openclip else projection[0],
        openclip=openclip,
    )
