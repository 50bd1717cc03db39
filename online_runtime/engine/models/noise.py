"""The noise levels that a UNet was trained with, and how its answer becomes a picture without noise.

Levels are sigmas: the standard deviation of the noise added to a latent of unit scale ("variance exploding").
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import Enum
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

# The training schedule of every SD family: betas are the squares of 1000 even steps between these roots.
TRAINED_STEPS = 1000
FIRST_BETA, LAST_BETA = 0.00085, 0.012
# With zero terminal SNR the last level would be infinite; this is what 1000 levels in float32 leave of it.
SMALLEST_SIGNAL = 4.9e-8


class Prediction(Enum):
    """What a UNet's output means."""

    NOISE = "eps"
    VELOCITY = "v_prediction"
    SAMPLE = "x0"


@dataclass(frozen=True)
class TrainedNoise:
    """The noise levels of one set of weights."""

    prediction: Prediction = Prediction.NOISE
    zero_snr: bool = False

    @cached_property
    def sigmas(self) -> NDArray[np.float64]:
        """The trained levels, ascending; index = the UNet's timestep."""
        roots = np.linspace(FIRST_BETA**0.5, LAST_BETA**0.5, TRAINED_STEPS)
        signal = np.cumprod(1 - roots**2)
        if self.zero_snr:
            signal = _to_zero_snr(signal)
        return np.asarray(np.sqrt((1 - signal) / signal))

    @property
    def lowest(self) -> float:
        return float(self.sigmas[0])

    @property
    def highest(self) -> float:
        return float(self.sigmas[-1])

    def timestep(self, sigma: float) -> int:
        """The trained timestep whose level is nearest to `sigma` (in the logarithm)."""
        return int(np.abs(np.log(self.sigmas) - math.log(sigma)).argmin())

    def sigma(self, timestep: float) -> float:
        """The level of a timestep, also between two trained ones."""
        return float(np.exp(np.interp(timestep, np.arange(len(self.sigmas)), np.log(self.sigmas))))

    def scaled(self, noisy: Tensor, sigma: float) -> Tensor:
        """What the UNet takes for `noisy`: unit variance."""
        return noisy / math.sqrt(sigma**2 + 1)

    def denoised(self, output: Tensor, noisy: Tensor, sigma: float) -> Tensor:
        """The latent without noise that the UNet's `output` for `noisy` stands for."""
        if self.prediction is Prediction.SAMPLE:
            return output
        if self.prediction is Prediction.VELOCITY:
            return noisy / (sigma**2 + 1) - output * sigma / math.sqrt(sigma**2 + 1)
        return noisy - output * sigma

    def begin(self, latent: Tensor, noise: Tensor, sigma: float) -> Tensor:
        """`latent` with `noise` at level `sigma`; at the highest level, as trained, there is nothing but
        noise."""
        if math.isclose(sigma, self.highest, rel_tol=1e-5) or sigma > self.highest:
            return noise * math.sqrt(1 + sigma**2) + latent
        return noise * sigma + latent


def _to_zero_snr(signal: NDArray[np.float64]) -> NDArray[np.float64]:
    """Lin et al. 2024, "Common Diffusion Noise Schedules": shift and scale the roots so that the last is
    zero."""
    roots = np.sqrt(signal)
    roots = (roots - roots[-1]) * roots[0] / (roots[0] - roots[-1])
    return np.asarray(np.maximum(roots**2, SMALLEST_SIGNAL))
