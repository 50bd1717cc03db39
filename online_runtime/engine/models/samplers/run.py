"""What a sampler needs besides the denoiser: fresh noise, and someone to tell about each step."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor


class Denoise(Protocol):
    """The expected clean latent for `latent` at level `sigma` (above 0)."""

    def __call__(self, latent: Tensor, sigma: float, /) -> Tensor: ...


@dataclass(frozen=True)
class Run:
    """`stepped(done, clean)` is called after each step, with the number of steps done and the present
    estimate."""

    generator: torch.Generator
    stepped: Callable[[int, Tensor], None]

    def noise(self, like: Tensor) -> Tensor:
        """Unit noise of the shape and place of `like`, made on the CPU so that a seed means the same
        everywhere."""
        return torch.randn(like.shape, generator=self.generator, dtype=torch.float32).to(like.device)


class Sampler(Protocol):
    """From `latent` at level `sigmas[0]` to the one at `sigmas[-1]`, which may be 0."""

    def __call__(self, denoise: Denoise, latent: Tensor, sigmas: Sequence[float], run: Run, /) -> Tensor: ...


def ancestral(sigma: float, following: float) -> tuple[float, float]:
    """A step down and a step of noise that together end at level `following` (Karras et al., eta = 1)."""
    if following == 0:
        return 0.0, 0.0
    up = min(following, math.sqrt(following**2 * (sigma**2 - following**2) / sigma**2))
    return math.sqrt(following**2 - up**2), up
