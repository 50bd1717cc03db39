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

    def level_after(self, share: float) -> float:
        """The level after `share` (0..1) of the trained time, counted from the highest."""
        return self.sigma((1 - share) * (TRAINED_STEPS - 1))

    def timestep(self, sigma: float) -> float:
        """The time that a UNet is told for `sigma`: here the trained timestep whose level is
        nearest (in the logarithm)."""
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


@dataclass(frozen=True)
class ContinuousNoise(TrainedNoise):
    """Levels without steps, as SVD was trained (Karras et al. 2022): its time is a quarter of the level's
    logarithm."""

    prediction: Prediction = Prediction.VELOCITY
    bottom: float = 0.002
    top: float = 700.0

    @cached_property
    def sigmas(self) -> NDArray[np.float64]:
        """As many levels as others have, evenly spread in the logarithm, ascending."""
        return np.asarray(np.exp(np.linspace(math.log(self.bottom), math.log(self.top), TRAINED_STEPS)))

    def level_after(self, share: float) -> float:
        """As TrainedNoise's, over the logarithm."""
        return float(np.exp(math.log(self.top) * (1 - share) + math.log(self.bottom) * share))

    def timestep(self, sigma: float) -> float:
        """A quarter of the logarithm."""
        return 0.25 * math.log(sigma)

    def sigma(self, timestep: float) -> float:
        """The way back."""
        return math.exp(4 * timestep)


@dataclass(frozen=True)
class DistilledNoise(TrainedNoise):
    """Latent consistency models (Luo et al. 2023): every 20th trained level, and an answer that is mixed with
    its input near the end."""

    stride: int = 20

    @cached_property
    def sigmas(self) -> NDArray[np.float64]:
        """The levels that were used in distillation, ascending."""
        return np.asarray(TrainedNoise(zero_snr=self.zero_snr).sigmas[self.stride - 1 :: self.stride])

    def level_after(self, share: float) -> float:
        """As TrainedNoise's."""
        return TrainedNoise(zero_snr=self.zero_snr).level_after(share)

    def timestep(self, sigma: float) -> int:
        """The trained timestep of the nearest level in use."""
        nearest = int(np.abs(np.log(self.sigmas) - math.log(sigma)).argmin())
        return nearest * self.stride + self.stride - 1

    def sigma(self, timestep: float) -> float:
        """The level of a timestep, also between two in use."""
        places = np.arange(self.stride - 1, TRAINED_STEPS, self.stride)
        return float(np.exp(np.interp(timestep, places, np.log(self.sigmas))))

    def denoised(self, output: Tensor, noisy: Tensor, sigma: float) -> Tensor:
        """The answer, mixed with the input as in distillation: ten times the time, spread 0.5."""
        clean = noisy - output * sigma
        time = 10.0 * self.timestep(sigma)
        kept = 0.25 / (time**2 + 0.25)
        return clean * (time / math.sqrt(time**2 + 0.25)) + noisy / math.sqrt(sigma**2 + 1) * kept


def _to_zero_snr(signal: NDArray[np.float64]) -> NDArray[np.float64]:
    """Lin et al. 2024, "Common Diffusion Noise Schedules": shift and scale the roots so that the last is
    zero."""
    roots = np.sqrt(signal)
    roots = (roots - roots[-1]) * roots[0] / (roots[0] - roots[-1])
    return np.asarray(np.maximum(roots**2, SMALLEST_SIGNAL))
