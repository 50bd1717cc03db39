"""Noise levels of one run: each function gives descending sigmas for `steps` steps, ending in 0."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from .errors import SamplerUnavailable
from .noise import TrainedNoise
from .offered import SCHEDULERS

Sigmas = list[float]
# These solvers would halve their last step into a level that only adds error; ComfyUI leaves that level out.
_WITHOUT_LAST_BUT_ONE = frozenset({"dpm_2", "dpm_2_ancestral", "uni_pc", "uni_pc_bh2"})


def normal(noise: TrainedNoise, steps: int) -> Sigmas:
    """Even steps in trained time, from the first level to the last."""
    times = np.linspace(noise.timestep(noise.highest), noise.timestep(noise.lowest), steps)
    return [*(noise.sigma(t) for t in times), 0.0]


def sgm_uniform(noise: TrainedNoise, steps: int) -> Sigmas:
    """As `normal`, with the step to 0 as long as the others."""
    times = np.linspace(noise.timestep(noise.highest), noise.timestep(noise.lowest), steps + 1)[:-1]
    return [*(noise.sigma(t) for t in times), 0.0]


def simple(noise: TrainedNoise, steps: int) -> Sigmas:
    """Every n-th trained level, counted from the highest."""
    stride = len(noise.sigmas) / steps
    return [*(float(noise.sigmas[-(1 + int(i * stride))]) for i in range(steps)), 0.0]


def ddim_uniform(noise: TrainedNoise, steps: int) -> Sigmas:
    """Every n-th trained level, counted from the lowest but one, as DDIM was published; n is a whole
    number."""
    stride = max(len(noise.sigmas) // steps, 1)
    return [*(float(s) for s in reversed(noise.sigmas[1::stride])), 0.0]


def karras(noise: TrainedNoise, steps: int, rho: float = 7.0) -> Sigmas:
    """Karras et al. 2022, equation 5."""
    return karras_between(noise.highest, noise.lowest, steps, rho)


def karras_between(highest: float, lowest: float, steps: int, rho: float = 7.0) -> Sigmas:
    """The same between any two levels."""
    high, low = highest ** (1 / rho), lowest ** (1 / rho)
    return [*((high + t * (low - high)) ** rho for t in np.linspace(0, 1, steps).tolist()), 0.0]


def exponential(noise: TrainedNoise, steps: int) -> Sigmas:
    """Even steps in the logarithm of the level."""
    return [*np.exp(np.linspace(math.log(noise.highest), math.log(noise.lowest), steps)).tolist(), 0.0]


def kl_optimal(noise: TrainedNoise, steps: int) -> Sigmas:
    """Even steps in the arc tangent of the level (Sabour et al. 2024, theorem 3.1)."""
    angles = np.linspace(math.atan(noise.highest), math.atan(noise.lowest), steps)
    return [*np.tan(angles).tolist(), 0.0]


def beta(noise: TrainedNoise, steps: int, shape: float = 0.6) -> Sigmas:
    """Trained levels at the quantiles of Beta(0.6, 0.6): dense at both ends (Lee et al. 2024)."""
    quantiles = _beta_quantiles(1 - np.linspace(0, 1, steps, endpoint=False), shape)
    places = np.rint(quantiles * (len(noise.sigmas) - 1)).astype(int)
    return [*(float(noise.sigmas[p]) for p in dict.fromkeys(places.tolist())), 0.0]


def linear_quadratic(noise: TrainedNoise, steps: int, threshold: float = 0.025) -> Sigmas:
    """The first half of the steps removes `threshold` of the noise evenly, the second the rest, ever
    faster."""
    if steps == 1:
        return [noise.highest, 0.0]
    half = steps // 2
    slope, rest = threshold / half, steps - half
    bend = (1 - threshold - slope * rest) / rest**2
    removed = [slope * i for i in range(half)]
    removed += [threshold + slope * i + bend * i**2 for i in range(rest + 1)]
    return [*((1 - r) * noise.highest for r in removed[:-1]), 0.0]


_SCHEDULES: dict[str, Callable[[TrainedNoise, int], Sigmas]] = {
    "simple": simple,
    "sgm_uniform": sgm_uniform,
    "karras": karras,
    "exponential": exponential,
    "ddim_uniform": ddim_uniform,
    "beta": beta,
    "normal": normal,
    "linear_quadratic": linear_quadratic,
    "kl_optimal": kl_optimal,
}


def sigmas_for(noise: TrainedNoise, sampler: str, scheduler: str, steps: int, denoise: float = 1.0) -> Sigmas:
    """The levels of a run. With `denoise` below 1 they are the last `steps` of a longer run; with 0 there
    are none.

    Raises SamplerUnavailable for an unknown scheduler.
    """
    if scheduler not in _SCHEDULES:
        raise SamplerUnavailable("scheduler", scheduler, SCHEDULERS)
    if denoise <= 0:
        return []
    whole = steps if denoise > 0.9999 else int(steps / denoise)
    skips = sampler in _WITHOUT_LAST_BUT_ONE
    sigmas = _SCHEDULES[scheduler](noise, whole + 1 if skips else whole)
    if skips:
        del sigmas[-2]
    return sigmas if denoise > 0.9999 else sigmas[-(steps + 1) :]


def _beta_quantiles(of: np.ndarray, shape: float) -> np.ndarray:
    """Inverse of the distribution function of Beta(shape, shape), by integration on a grid.

    With t = sin²(angle) the density has no poles; 20,000 cells are exact to far less than one trained level.
    """
    edges = np.linspace(0, math.pi / 2, 20_001)
    middles = (edges[1:] + edges[:-1]) / 2
    density = (np.sin(middles) * np.cos(middles)) ** (2 * shape - 1)
    reached = np.concatenate([[0.0], np.cumsum(density)])
    return np.asarray(np.sin(np.interp(of, reached / reached[-1], edges)) ** 2)
