"""Exponential integrators in t = −log σ, where the flow is dx/dt = clean − x: DPM-Solver++ and its kin.

Over a step h in t, `x → e^(−h) x + ∫ e^(−(h−τ)) clean(τ) dτ`; the methods differ in how they guess clean(τ).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

from torch import Tensor

from .run import Denoise, Run, ancestral


def dpmpp_2m(denoise: Denoise, latent: Tensor, sigmas: Sequence[float], run: Run) -> Tensor:
    """DPM-Solver++(2M), Lu et al. 2022, algorithm 2: the clean latent is extrapolated to the middle of the
    step."""
    before: Tensor | None = None
    last_length = 0.0
    for done, (sigma, following) in enumerate(pairwise(sigmas), 1):
        clean = denoise(latent, sigma)
        if following == 0:
            latent = clean
        else:
            length = math.log(sigma / following)
            guess = clean if before is None else clean + (clean - before) * (length / (2 * last_length))
            latent = (following / sigma) * latent - math.expm1(-length) * guess
            last_length = length
        before = clean
        run.stepped(done, clean)
    return latent


def dpmpp_2s_ancestral(denoise: Denoise, latent: Tensor, sigmas: Sequence[float], run: Run) -> Tensor:
    """DPM-Solver++(2S), the same with an intermediate call, in ancestral steps: two calls a step."""
    for done, (sigma, following) in enumerate(pairwise(sigmas), 1):
        clean = denoise(latent, sigma)
        down, up = ancestral(sigma, following)
        if down == 0:
            latent = clean
        else:
            middle = math.sqrt(sigma * down)
            halfway = (middle / sigma) * latent + (1 - middle / sigma) * clean
            latent = (down / sigma) * latent + (1 - down / sigma) * denoise(halfway, middle)
        if up > 0:
            latent = latent + run.noise(latent) * up
        run.stepped(done, clean)
    return latent


def res_multistep(denoise: Denoise, latent: Tensor, sigmas: Sequence[float], run: Run) -> Tensor:
    """Two-step exponential Adams–Bashforth: the clean latent runs on in a straight line, integrated
    exactly."""
    return _straight_line(denoise, latent, sigmas, run, noisy=False)


def res_multistep_ancestral(denoise: Denoise, latent: Tensor, sigmas: Sequence[float], run: Run) -> Tensor:
    """The same in ancestral steps."""
    return _straight_line(denoise, latent, sigmas, run, noisy=True)


def _straight_line(
    denoise: Denoise, latent: Tensor, sigmas: Sequence[float], run: Run, *, noisy: bool
) -> Tensor:
    before: Tensor | None = None
    last_sigma = 0.0
    for done, (sigma, following) in enumerate(pairwise(sigmas), 1):
        clean = denoise(latent, sigma)
        down, up = ancestral(sigma, following) if noisy else (following, 0.0)
        if down == 0:
            latent = clean
        else:
            length = math.log(sigma / down)
            latent = (down / sigma) * latent - math.expm1(-length) * clean
            if before is not None:
                rise = (clean - before) / math.log(last_sigma / sigma)
                # The integral of e^(−(h−τ)) τ over the step.
                latent = latent + rise * (length + math.expm1(-length))
        if up > 0:
            latent = latent + run.noise(latent) * up
        before, last_sigma = clean, sigma
        run.stepped(done, clean)
    return latent
