"""The MODEL object: a UNet with the noise levels that it was trained with."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from . import memory
from .errors import ConditioningUnusable
from .families import Family, LatentFormat, latent_format
from .noise import TrainedNoise
from .patched import Patched

if TYPE_CHECKING:
    from .control import ControlUse
    from .lora import Change
    from .unet_shape import UNetShape

# How the answers for the positive and the negative conditioning become one: (wanted, unwanted, scale, noisy,
# sigma) -> denoised, all [B, 4, h, w].
GuidanceRule = Callable[[Tensor, Tensor, float, Tensor, float], Tensor]


@dataclass(frozen=True)
class DiffusionModel:
    """What a node calls MODEL. Immutable: nodes that change something give another one that shares the
    weights."""

    family: Family
    shape: UNetShape
    unet: Patched
    noise: TrainedNoise
    rule: GuidanceRule | None = None

    @property
    def latents(self) -> LatentFormat:
        return latent_format(self.family)

    def with_lora(self, changes: Mapping[str, Change]) -> DiffusionModel:
        """This model with `changes` added to its weights, by parameter name."""
        return replace(self, unet=self.unet.with_changes(changes))

    def with_noise(self, noise: TrainedNoise) -> DiffusionModel:
        """This model, its output read as `noise` says."""
        return replace(self, noise=noise)

    def with_rule(self, rule: GuidanceRule) -> DiffusionModel:
        """This model, guided by `rule` instead of plain classifier-free guidance."""
        return replace(self, rule=rule)

    def added(self, options: Mapping[str, Any], latent: Tensor) -> dict[str, Tensor]:
        """What the UNet takes besides text: SDXL's pooled text and sizes in pixels (the latent's own where
        `options` name none), one entry for each picture of `latent`. Raises ConditioningUnusable."""
        if self.shape.added_width is None:
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
            "text_embeds": for_each(pooled, batch),
            "time_ids": torch.tensor([sizes], dtype=torch.float32).repeat(batch, 1),
        }

    def denoised(
        self,
        noisy: Tensor,
        sigma: float,
        context: Tensor,
        added: Mapping[str, Tensor],
        runs: int = 1,
        control: ControlUse | None = None,
    ) -> Tensor:
        """The UNet's idea of `noisy` [B, 4, h, w] at level `sigma` without its noise, in float32, on its
        device.

        `context` is the text [B, tokens, width]; `added` as `added()` gives it. `noisy` holds `runs` batches,
        one for each conditioning.
        """
        device, dtype = memory.device(), self.unet.dtype
        inputs = {
            "sample": self.noise.scaled(noisy, sigma).to(device, dtype),
            "timestep": self.times(sigma, noisy.shape[0]),
            "encoder_hidden_states": context.to(device, dtype),
            "added_cond_kwargs": {name: tensor.to(device, dtype) for name, tensor in added.items()},
            "return_dict": False,
        }
        steering = control.residuals(inputs, runs, sigma) if control else {}
        output = self.unet(**inputs, **steering)[0]
        return self.noise.denoised(output.float(), noisy.float(), sigma)

    def times(self, sigma: float, batch: int) -> Tensor:
        """The UNet's time for level `sigma`, `batch` times: trained steps are whole numbers."""
        time = self.noise.timestep(sigma)
        kind = torch.long if isinstance(time, int) else torch.float32
        return torch.full((batch,), time, device=memory.device(), dtype=kind)


def for_each(tensor: Tensor, batch: int) -> Tensor:
    """`tensor` repeated along its first side until there is one entry for each of `batch` pictures."""
    repeats = -(-batch // tensor.shape[0])
    return tensor.repeat(repeats, *[1] * (tensor.dim() - 1))[:batch]
