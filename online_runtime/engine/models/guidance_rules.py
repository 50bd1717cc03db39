"""Rules of guidance: how much each frame is guided, and guidance that keeps a picture's contrast."""

from __future__ import annotations

import torch
from torch import Tensor

from .diffusion import GuidanceRule


def linear(first: float) -> GuidanceRule:
    """From scale `first` at the first frame to the sampler's scale at the last."""

    def rule(wanted: Tensor, unwanted: Tensor, scale: float, noisy: Tensor, sigma: float) -> Tensor:
        scales = torch.linspace(first, scale, wanted.shape[0], device=wanted.device)
        return unwanted + scales.reshape(-1, 1, 1, 1) * (wanted - unwanted)

    return rule


def triangle(first: float) -> GuidanceRule:
    """From scale `first` up to the sampler's scale in the middle and back again."""

    def rule(wanted: Tensor, unwanted: Tensor, scale: float, noisy: Tensor, sigma: float) -> Tensor:
        places = torch.linspace(0, 1, wanted.shape[0], device=wanted.device)
        heights = 2 * (places - (places + 0.5).floor()).abs()
        scales = heights * (scale - first) + first
        return unwanted + scales.reshape(-1, 1, 1, 1) * (wanted - unwanted)

    return rule


def rescaled(share: float) -> GuidanceRule:
    """Guidance whose result has the spread of the positive answer (Lin et al. 2024, section 3.4), mixed in at
    `share`; measured on velocities, as published."""

    def rule(wanted: Tensor, unwanted: Tensor, scale: float, noisy: Tensor, sigma: float) -> Tensor:
        # velocity = (noisy / (sigma² + 1) - clean) · sqrt(sigma² + 1) / sigma
        base, factor = noisy / (sigma**2 + 1), (sigma**2 + 1) ** 0.5 / sigma
        positive, negative = ((base - clean) * factor for clean in (wanted, unwanted))
        guided = negative + scale * (positive - negative)
        spread = positive.std(dim=(1, 2, 3), keepdim=True) / guided.std(dim=(1, 2, 3), keepdim=True)
        velocity = share * guided * spread + (1 - share) * guided
        clean: Tensor = base - velocity / factor
        return clean

    return rule
