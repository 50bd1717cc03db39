"""The CLIP object: one or two text encoders with their tokenizers, and how a family joins them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from . import memory
from .embeddings import in_place, vectors_of
from .families import Family
from .patched import Patched
from .tokens import Tokenizer
from .weighted_text import Chunk, chunks

if TYPE_CHECKING:
    from .lora import Change


@dataclass(frozen=True)
class Encoded:
    """`tokens` [1, 77·n, width] for the UNet's attention; `pooled` [1, width] for the text as a whole. On
    the CPU."""

    tokens: Tensor
    pooled: Tensor


@dataclass(frozen=True)
class TextEncoder:
    """One CLIP text encoder. `projection` [pooled, width] is applied to the pooled text where there is
    one."""

    network: Patched
    tokenizer: Tokenizer
    projection: Tensor | None
    pad: int

    @property
    def layers(self) -> int:
        return len(self.network.module.encoder.layers)  # type: ignore[arg-type, union-attr]  # a CLIPTextModel

    @property
    def width(self) -> int:
        """How many numbers stand for one token."""
        return int(self._embedding.weight.shape[1])  # type: ignore[index]  # nn.Embedding

    @property
    def _embedding(self) -> nn.Module:
        found: nn.Module = self.network.module.get_input_embeddings()  # type: ignore[operator]  # transformers'
        return found

    def encode(self, text: str, layer: int, normed: bool) -> Encoded:
        """`text`, weights in brackets honoured, from layer `layer` (-1: the last), normalised when `normed`.

        A token of weight w lies w times as far from what the empty text has in its place. Raises TextError.
        """
        parts = chunks(text, self.tokenizer, self.pad, lambda name: len(vectors_of(name, self.width)))
        empty = chunks("", self.tokenizer, self.pad)
        hidden, pooled = self._run([*parts, *empty], layer, normed)
        nothing = hidden[-1:]
        weights = torch.tensor([part.weights for part in parts]).unsqueeze(-1)
        tokens = torch.where(weights == 1.0, hidden[:-1], nothing + (hidden[:-1] - nothing) * weights)
        return Encoded(tokens=tokens.reshape(1, -1, tokens.shape[-1]), pooled=pooled[:1])

    @torch.no_grad()
    def _run(self, parts: Sequence[Chunk], layer: int, normed: bool) -> tuple[Tensor, Tensor]:
        """Hidden states [chunks, 77, width] and pooled texts [chunks, pooled], in float32 on the CPU."""
        vectors = {
            (row, position): vectors_of(name, self.width)[at]
            for row, part in enumerate(parts)
            for position, (name, at) in part.inversions.items()
        }
        with memory.dropping_when_full(), in_place(self._embedding, vectors):
            ids = torch.tensor([part.tokens for part in parts], device=memory.device())
            output = self.network(input_ids=ids, output_hidden_states=True)
        states = output.hidden_states
        hidden = states[max(layer, -len(states))]
        norm = self.network.module.final_layer_norm
        ends = (ids == self.tokenizer.end).int().argmax(dim=-1)
        pooled = output.last_hidden_state[torch.arange(len(parts), device=ids.device), ends].float().cpu()
        if self.projection is not None:
            pooled = pooled @ self.projection.T
        return (norm(hidden) if normed else hidden).float().cpu(), pooled  # type: ignore[operator]  # a LayerNorm


@dataclass(frozen=True)
class TextEncoders:
    """What a node calls CLIP. `layer` is None for the family's own choice. Immutable."""

    family: Family
    encoders: tuple[TextEncoder, ...]
    layer: int | None = None

    def at_layer(self, layer: int) -> TextEncoders:
        """The same encoders, stopped at `layer` (-1 is the last, -2 the one before)."""
        return replace(self, layer=layer)

    def with_lora(self, changes: Sequence[Mapping[str, Change]]) -> TextEncoders:
        """The same encoders with changes added to the weights of each, by parameter name."""
        changed = [
            replace(encoder, network=encoder.network.with_changes(mine))
            for encoder, mine in zip(self.encoders, changes, strict=True)
        ]
        return replace(self, encoders=tuple(changed))

    def encode(self, text: str) -> Encoded:
        """`text` as the family's UNet takes it: SDXL's two encoders side by side, pooled by the second.

        Raises TextError, torch.OutOfMemoryError.
        """
        own = -1 if self.family is Family.SD1 else -2
        layer = own if self.layer is None else self.layer
        normed = self.family is not Family.SDXL
        parts = [encoder.encode(text, layer, normed) for encoder in self.encoders]
        tokens = torch.cat([part.tokens for part in parts], dim=-1)
        return Encoded(tokens=tokens, pooled=parts[-1].pooled)
