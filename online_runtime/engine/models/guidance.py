"""Classifier-free guidance: positive and negative conditioning to one denoised latent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from .diffusion import DiffusionModel
from .errors import ConditioningUnusable

Conditioning = Sequence[tuple[Tensor, Mapping[str, Any]]]

_KNOWN = frozenset(
    {"pooled_output", "strength", "width", "height", "crop_w", "crop_h", "target_width", "target_height"}
)


@dataclass(frozen=True)
class _Entry:
    """One text for every picture of the batch. `context` [B, tokens, width]; `share` is its part of the
    mean."""

    context: Tensor
    added: dict[str, Tensor]
    share: float


class Guidance:
    """Calls the model for `positive` and `negative` and takes `scale` times their difference.

    Raises ConditioningUnusable at once for what cannot be honoured, not in the middle of a run.
    """

    def __init__(
        self,
        model: DiffusionModel,
        positive: Conditioning,
        negative: Conditioning,
        scale: float,
        latent: Tensor,
    ) -> None:
        self._model = model
        self._scale = scale
        self._positive = _entries(model, positive, "positive", latent)
        # At scale 1 the negative text drops out of the formula, and half of the work with it.
        self._negative = [] if scale == 1.0 else _entries(model, negative, "negative", latent)

    def __call__(self, noisy: Tensor, sigma: float) -> Tensor:
        """The denoised latent for `noisy` [B, C, h, w] at level `sigma`."""
        entries = [*self._positive, *self._negative]
        outputs = self._outputs(entries, noisy, sigma)
        wanted = _mean(self._positive, outputs[: len(self._positive)])
        if not self._negative:
            return wanted
        unwanted = _mean(self._negative, outputs[len(self._positive) :])
        return unwanted + (wanted - unwanted) * self._scale

    def _outputs(self, entries: Sequence[_Entry], noisy: Tensor, sigma: float) -> list[Tensor]:
        """One output an entry. Entries of equal length run together: one pass is faster than two."""
        lengths = {entry.context.shape[1] for entry in entries}
        outputs: dict[int, Tensor] = {}
        for length in lengths:
            places = [at for at, entry in enumerate(entries) if entry.context.shape[1] == length]
            together = [entries[at] for at in places]
            output = self._model.denoised(
                noisy.repeat(len(places), 1, 1, 1),
                sigma,
                torch.cat([entry.context for entry in together]),
                {name: torch.cat([entry.added[name] for entry in together]) for name in together[0].added},
            )
            outputs |= dict(zip(places, output.chunk(len(places)), strict=True))
        return [outputs[at] for at in range(len(entries))]


def _mean(entries: Sequence[_Entry], outputs: Sequence[Tensor]) -> Tensor:
    total = sum(entry.share for entry in entries)
    return torch.stack(
        [out * (entry.share / total) for entry, out in zip(entries, outputs, strict=True)]
    ).sum(0)


def _entries(model: DiffusionModel, conditioning: Conditioning, which: str, latent: Tensor) -> list[_Entry]:
    if not conditioning:
        raise ConditioningUnusable(f"the {which} conditioning is empty")
    entries = []
    for context, options in conditioning:
        if unknown := sorted(set(options) - _KNOWN):
            raise ConditioningUnusable(f"the builtin engine does not know its {', '.join(unknown)}")
        if context.shape[-1] != model.shape.context_width:
            raise ConditioningUnusable(
                f"the {which} text has width {context.shape[-1]}, "
                f"the model takes {model.shape.context_width}; "
                "text encoder and model are of different families"
            )
        entries.append(
            _Entry(
                context=_for_each(context, latent.shape[0]),
                added=_added(model, options, latent),
                share=float(options.get("strength", 1.0)),
            )
        )
    return entries


def _added(model: DiffusionModel, options: Mapping[str, Any], latent: Tensor) -> dict[str, Tensor]:
    """SDXL's pooled text and picture sizes (in pixels; the latent's own where the conditioning names
    none)."""
    if model.shape.added_width is None:
        return {}
    pooled = options.get("pooled_output")
    if pooled is None:
        raise ConditioningUnusable("the model needs the pooled text, which it lacks")
    height, width = latent.shape[2] * 8, latent.shape[3] * 8
    sizes = [options.get("height", height), options.get("width", width)]
    sizes += [options.get("crop_h", 0), options.get("crop_w", 0)]
    sizes += [options.get("target_height", height), options.get("target_width", width)]
    batch = latent.shape[0]
    return {
        "text_embeds": _for_each(pooled, batch),
        "time_ids": torch.tensor([sizes], dtype=torch.float32).repeat(batch, 1),
    }


def _for_each(tensor: Tensor, batch: int) -> Tensor:
    """`tensor` repeated along its first side until there is one entry for each of `batch` pictures."""
    repeats = -(-batch // tensor.shape[0])
    return tensor.repeat(repeats, *[1] * (tensor.dim() - 1))[:batch]
