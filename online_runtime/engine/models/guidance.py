"""Classifier-free guidance: positive and negative conditioning to one denoised latent."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from .conditioned import Conditioning, Entry, entries_of, sharing_control
from .control import ControlUse
from .diffusion import DiffusionModel


class Guidance:
    """Calls the model for `positive` and `negative` and takes `scale` times their difference, or what the
    model's own rule makes of them.

    Raises ConditioningUnusable at once for what cannot be honoured, not in the middle of a run.
    """

    def __init__(
        self,
        model: DiffusionModel,
        positive: Conditioning,
        negative: Conditioning | None,
        scale: float,
        latent: Tensor,
    ) -> None:
        self._model = model
        self._scale = scale
        self._positive = entries_of(model, positive, "positive", latent)
        self._negative: list[Entry] = []
        # At scale 1 the negative text drops out of the formula, and half of the work with it.
        if negative is not None and (scale != 1.0 or model.rule is not None):
            found = entries_of(model, negative, "negative", latent)
            self._negative = sharing_control(self._positive, positive, found)

    def __call__(self, noisy: Tensor, sigma: float) -> Tensor:
        """The denoised latent for `noisy` [B, C, h, w] at level `sigma`."""
        used = [entry for entry in (*self._positive, *self._negative) if entry.is_used(sigma)]
        outputs = self._outputs(used, noisy, sigma)
        wanted = _mean(self._positive, outputs, noisy)
        if not self._negative:
            return wanted
        unwanted = _mean(self._negative, outputs, noisy)
        if self._model.rule is not None:
            return self._model.rule(wanted, unwanted, self._scale, noisy, sigma)
        return unwanted + (wanted - unwanted) * self._scale

    def _outputs(self, entries: Sequence[Entry], noisy: Tensor, sigma: float) -> dict[int, Tensor]:
        """One output an entry, by the entry's identity; entries that go together run in one pass."""
        outputs: dict[int, Tensor] = {}
        waiting = list(entries)
        while waiting:
            together = [entry for entry in waiting if entry.goes_with(waiting[0])]
            waiting = [entry for entry in waiting if not entry.goes_with(waiting[0])]
            output = self._model.denoised(
                together[0].area.of(noisy).repeat(len(together), 1, 1, 1),
                sigma,
                torch.cat([entry.context for entry in together]),
                {name: torch.cat([entry.added[name] for entry in together]) for name in together[0].added},
                runs=len(together),
                control=_working(together[0], sigma),
            )
            outputs |= zip(map(id, together), output.chunk(len(together)), strict=True)
        return outputs


def _working(entry: Entry, sigma: float) -> ControlUse | None:
    control = entry.control
    return control if control is not None and control.is_used(sigma) else None


def _mean(entries: Sequence[Entry], outputs: dict[int, Tensor], like: Tensor) -> Tensor:
    """The weighted mean of `outputs` in each place; zero where no entry says anything."""
    total, weights = torch.zeros_like(like), torch.zeros_like(like[:, :1])
    for entry in entries:
        if (output := outputs.get(id(entry))) is not None:
            weight = entry.weight.to(like.device)
            entry.area.of(total).add_(output * weight)
            entry.area.of(weights).add_(weight)
    return total / weights.where(weights != 0, torch.ones_like(weights))
