"""Samplers that solve the probability-flow equation dx/dσ = (x − clean) / σ without adding noise."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from torch import Tensor

from .run import Denoise, Run

# Adams–Bashforth for even steps, by how many earlier slopes there are.
_EVEN_STEPS = ((1.0,), (3 / 2, -1 / 2), (23 / 12, -16 / 12, 5 / 12), (55 / 24, -59 / 24, 37 / 24, -9 / 24))
# Permenter & Yuan 2023: the newest slope counts twice, the one before is taken off.
_ESTIMATION_GAIN = 2.0


def euler(denoise: Denoise, latent: Tensor, sigmas: Sequence[float], run: Run) -> Tensor:
    """Euler's method: first order."""
    for done, (sigma, following) in enumerate(pairwise(sigmas), 1):
        clean = denoise(latent, sigma)
        latent = latent + (latent - clean) / sigma * (following - sigma)
        run.stepped(done, clean)
    return latent


def heun(denoise: Denoise, latent: Tensor, sigmas: Sequence[float], run: Run) -> Tensor:
    """Heun's method (Karras et al., algorithm 1 without churn): second order, two calls a step."""
    for done, (sigma, following) in enumerate(pairwise(sigmas), 1):
        clean = denoise(latent, sigma)
        slope = (latent - clean) / sigma
        ahead = latent + slope * (following - sigma)
        if following > 0:
            slope_ahead = (ahead - denoise(ahead, following)) / following
            ahead = latent + (slope + slope_ahead) / 2 * (following - sigma)
        latent = ahead
        run.stepped(done, clean)
    return latent


def dpm_2(denoise: Denoise, latent: Tensor, sigmas: Sequence[float], run: Run) -> Tensor:
    """The midpoint method, with the midpoint in the logarithm of the level: second order, two calls a
    step."""
    for done, (sigma, following) in enumerate(pairwise(sigmas), 1):
        clean = denoise(latent, sigma)
        latent = midpoint(denoise, latent, clean, sigma, following)
        run.stepped(done, clean)
    return latent


def midpoint(denoise: Denoise, latent: Tensor, clean: Tensor, sigma: float, following: float) -> Tensor:
    """One such step; `clean` is the denoised `latent`. To level 0 it is Euler's."""
    slope = (latent - clean) / sigma
    if following == 0:
        return latent - slope * sigma
    middle = math.sqrt(sigma * following)
    halfway = latent + slope * (middle - sigma)
    return latent + (halfway - denoise(halfway, middle)) / middle * (following - sigma)


def lms(denoise: Denoise, latent: Tensor, sigmas: Sequence[float], run: Run, order: int = 4) -> Tensor:
    """Adams–Bashforth for uneven steps: the last slopes' interpolating polynomial is integrated exactly."""
    slopes: list[Tensor] = []
    for done, (sigma, following) in enumerate(pairwise(sigmas), 1):
        clean = denoise(latent, sigma)
        slopes = [(latent - clean) / sigma, *slopes[: order - 1]]
        places = [sigmas[done - 1 - back] for back in range(len(slopes))]
        for slope, weight in zip(slopes, _integrals(places, following), strict=True):
            latent = latent + slope * weight
        run.stepped(done, clean)
    return latent


def _integrals(places: Sequence[float], end: float) -> list[float]:
    """Integrals from `places[0]` to `end` of the polynomials that are 1 at one place and 0 at the others."""
    weights = []
    for place in places:
        integral = np.polyint(_one_at(place, places))
        weights.append(float(integral(end) - integral(places[0])))
    return weights


def deis(denoise: Denoise, latent: Tensor, sigmas: Sequence[float], run: Run, order: int = 3) -> Tensor:
    """DEIS (Zhang & Chen 2022, in log ρ): as `lms`, with polynomials in the logarithm of the level."""
    slopes: list[Tensor] = []
    for done, (sigma, following) in enumerate(pairwise(sigmas), 1):
        clean = denoise(latent, sigma)
        slopes = [(latent - clean) / sigma, *slopes[: order - 1]]
        places = [math.log(sigmas[done - 1 - back]) for back in range(len(slopes))]
        if following == 0:
            # Level 0 lies infinitely far away in the logarithm: the newest slope leads there in a straight
            # line.
            latent = clean
        else:
            for slope, weight in zip(slopes, _log_integrals(places, math.log(following)), strict=True):
                latent = latent + slope * weight
        run.stepped(done, clean)
    return latent


def _log_integrals(places: Sequence[float], end: float) -> list[float]:
    """Integrals over the level of such polynomials in its logarithm, by Gauss's rule: exact to rounding."""
    nodes, weights = np.polynomial.legendre.leggauss(16)
    half = (end - places[0]) / 2
    logs = places[0] + half * (nodes + 1)
    return [float(half * np.sum(weights * np.exp(logs) * _one_at(place, places)(logs))) for place in places]


def _one_at(place: float, places: Sequence[float]) -> np.poly1d:
    """The polynomial that is 1 at `place` and 0 at the other `places`."""
    others = [other for other in places if other != place]
    polynomial: np.poly1d = np.poly1d(others, r=True) / math.prod(place - other for other in others)
    return polynomial


def ipndm(denoise: Denoise, latent: Tensor, sigmas: Sequence[float], run: Run) -> Tensor:
    """Pseudo-numerical: the coefficients of Adams–Bashforth for even steps, whatever the steps are (Zhang &
    Chen 2023)."""
    slopes: list[Tensor] = []
    for done, (sigma, following) in enumerate(pairwise(sigmas), 1):
        clean = denoise(latent, sigma)
        slopes = [(latent - clean) / sigma, *slopes[:3]]
        for slope, weight in zip(slopes, _EVEN_STEPS[len(slopes) - 1], strict=True):
            latent = latent + slope * (weight * (following - sigma))
        run.stepped(done, clean)
    return latent


def gradient_estimation(denoise: Denoise, latent: Tensor, sigmas: Sequence[float], run: Run) -> Tensor:
    """Euler's steps along a slope that is corrected by the one before."""
    before: Tensor | None = None
    for done, (sigma, following) in enumerate(pairwise(sigmas), 1):
        clean = denoise(latent, sigma)
        slope = (latent - clean) / sigma
        gain = 1.0 if before is None or following == 0 else _ESTIMATION_GAIN
        estimate = slope if before is None else gain * slope + (1 - gain) * before
        latent = latent + estimate * (following - sigma)
        before = slope
        run.stepped(done, clean)
    return latent
