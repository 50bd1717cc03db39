"""A CLIP text encoder's shape, read from the tensor shapes of a checkpoint, and its names on both sides.

Two writings occur: that of transformers (SD1.x, SDXL's first) and that of OpenCLIP (SD2.x, SDXL's second).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .renaming import renamed
from .single_file import Shape

if TYPE_CHECKING:
    from torch import Tensor

_OPENCLIP_ENDS = {
    "token_embedding": "embeddings.token_embedding",
    "positional_embedding": "embeddings.position_embedding.weight",
    "ln_final": "final_layer_norm",
}
_OPENCLIP_LAYER = {
    "ln_1": "layer_norm1",
    "ln_2": "layer_norm2",
    "mlp.c_fc": "mlp.fc1",
    "mlp.c_proj": "mlp.fc2",
    "attn.out_proj": "self_attn.out_proj",
}


@dataclass(frozen=True)
class TextShape:
    """`projection` is the width of the pooled text, None without one. `openclip` tells which writing it
    has."""

    vocabulary: int
    positions: int
    width: int
    feedforward: int
    layers: int
    projection: int | None
    openclip: bool

    def transformers(self) -> dict[str, Any]:
        """The configuration of a CLIPTextModel."""
        return {
            "vocab_size": self.vocabulary,
            "max_position_embeddings": self.positions,
            "hidden_size": self.width,
            "intermediate_size": self.feedforward,
            "num_hidden_layers": self.layers,
            # Not in the tensors: every published CLIP text encoder has heads of 64.
            "num_attention_heads": max(1, self.width // 64),
            "hidden_act": "gelu" if self.openclip else "quick_gelu",
            "bos_token_id": self.vocabulary - 2,
            "eos_token_id": self.vocabulary - 1,
            "pad_token_id": self.vocabulary - 1,
        }

    def named_for_transformers(self, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """`tensors` (names without their common prefix) under CLIPTextModel's names, without the
        projection."""
        if not self.openclip:
            return {n: t for n, t in tensors.items() if n != "embeddings.position_ids"}
        named: dict[str, Tensor] = {}
        prefixes = self._openclip_prefixes()
        for name, tensor in tensors.items():
            if ".attn.in_proj_" in name:
                named |= split_attention(name, tensor)
            elif (new := renamed(name, prefixes)) is not None:
                named[new] = tensor
        return named

    def _openclip_prefixes(self) -> dict[str, str]:
        table = dict(_OPENCLIP_ENDS)
        for layer in range(self.layers):
            for theirs, ours in _OPENCLIP_LAYER.items():
                table[f"transformer.resblocks.{layer}.{theirs}"] = f"encoder.layers.{layer}.{ours}"
        return table


def split_attention(name: str, tensor: Tensor) -> dict[str, Tensor]:
    """OpenCLIP keeps query, key and value in one tensor, one below the other; `name` is that tensor's."""
    layer, kind = name.split(".")[2], name.rsplit("_", 1)[1]
    thirds = tensor.chunk(3)
    return {
        f"encoder.layers.{layer}.self_attn.{which}_proj.{kind}": third.contiguous()
        for which, third in zip("qkv", thirds, strict=True)
    }


def read_text_shape(shapes: Mapping[str, Shape]) -> TextShape:
    """The shape of the text encoder whose tensors (names without their common prefix) are `shapes`.

    Raises ValueError, with a sentence, when they are no CLIP text encoder.
    """
    openclip = "token_embedding.weight" in shapes
    token = "token_embedding.weight" if openclip else "embeddings.token_embedding.weight"
    position = "positional_embedding" if openclip else "embeddings.position_embedding.weight"
    layer = "transformer.resblocks.{}.ln_1.weight" if openclip else "encoder.layers.{}.layer_norm1.weight"
    first = "transformer.resblocks.0.mlp.c_fc.weight" if openclip else "encoder.layers.0.mlp.fc1.weight"
    if missing := [name for name in (token, position, first) if name not in shapes]:
        raise ValueError(f"its text encoder has no {missing[0]}")
    layers = 0
    while layer.format(layers) in shapes:
        layers += 1
    return TextShape(
        vocabulary=shapes[token][0],
        positions=shapes[position][0],
        width=shapes[token][1],
        feedforward=shapes[first][0],
        layers=layers,
        projection=_projection(shapes),
        openclip=openclip,
    )


def _projection(shapes: Mapping[str, Shape]) -> int | None:
    if (matrix := shapes.get("text_projection")) is not None:
        return matrix[1]  # OpenCLIP multiplies from the right,
    if (matrix := shapes.get("text_projection.weight")) is not None:
        return matrix[0]  # transformers keeps a linear layer.
    return None
