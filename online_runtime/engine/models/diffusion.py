"""The MODEL object: a UNet with the noise levels that it was trained with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from . import memory
from .families import Family, LatentFormat, latent_format
from .noise import TrainedNoise
from .patched import Patched

if TYPE_CHECKING:
    from .lora import Change
    from .unet_shape import UNetShape


@dataclass(frozen=True)
class DiffusionModel:
    """What a node calls MODEL. Immutable: nodes that change something give another one that shares the
    weights."""

    family: Family
    shape: UNetShape
    unet: Patched
    noise: TrainedNoise

    @property
    def latents(self) -> LatentFormat:
        return latent_format(self.family)

    def with_lora(self, changes: Mapping[str, Change]) -> DiffusionModel:
        """This model with `changes` added to its weights, by parameter name."""
        return replace(self, unet=self.unet.with_changes(changes))

    def with_noise(self, noise: TrainedNoise) -> DiffusionModel:
        """This model, its output read as `noise` says."""
        return replace(self, noise=noise)

    def denoised(self, noisy: Tensor, sigma: float, context: Tensor, added: Mapping[str, Tensor]) -> Tensor:
        """The UNet's idea of `noisy` [B, 4, h, w] at level `sigma` without its noise, in float32, on its
        device.

        `context` is the text [B, tokens, width]; `added` is SDXL's pooled text and sizes, else empty.
        """
        device, dtype = memory.device(), self.unet.dtype
        time = torch.full((noisy.shape[0],), self.noise.timestep(sigma), device=device, dtype=torch.long)
        output = self.unet(
            self.noise.scaled(noisy, sigma).to(device, dtype),
            time,
            context.to(device, dtype),
            added_cond_kwargs={name: tensor.to(device, dtype) for name, tensor in added.items()},
            return_dict=False,
        )[0]
        return self.noise.denoised(output.float(), noisy.float(), sigma)
