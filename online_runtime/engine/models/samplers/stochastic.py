"""Samplers that add fresh noise in each step (eta = 1)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

from torch import Tensor

from .ordinary import midpoint
from .run import Denoise, Run, ancestral


def euler_ancestral(denoise: Denoise, latent: Tensor, sigmas: Sequence[float], run: Run) -> Tensor:
    """Euler's step further down than asked, then noise up to the level."""
    for done, (sigma, following) in enumerate(pairwise(sigmas), 1):
        clean = denoise(latent, sigma)
        down, up = ancestral(sigma, following)
        latent = _noisier(latent + (latent - clean) / sigma * (down - sigma), up, run)
        run.stepped(done, clean)
    return latent


def dpm_2_ancestral(denoise: Denoise, latent: Tensor, sigmas: Sequence[float], run: Run) -> Tensor:
    """The same with a midpoint step: two calls a step."""
    for done, (sigma, following) in enumerate(pairwise(sigmas), 1):
        clean = denoise(latent, sigma)
        down, up = ancestral(sigma, following)
        latent = _noisier(midpoint(denoise, latent, clean, sigma, down), up, run)
        run.stepped(done, clean)
    return latent


def dpmpp_sde(denoise: Denoise, latent: Tensor, sigmas: Sequence[float], run: Run) -> Tensor:
    """DPM-Solver++ (SDE) with a call in the middle of each step, both halves on one path of noise."""
    for done, (sigma, following) in enumerate(pairwise(sigmas), 1):
        clean = denoise(latent, sigma)
        if following == 0:
            latent = clean
        else:
            middle = math.sqrt(sigma * following)
            first, second = run.noise(latent), run.noise(latent)
            down, up = ancestral(sigma, middle)
            halfway = (down / sigma) * latent + (1 - down / sigma) * clean + first * up
            clean_halfway = denoise(halfway, middle)
            # Noise over the whole step: its first half was already seen, so the two are correlated as on
            # one path.
            share = (sigma - middle) / (sigma - following)
            whole = first * math.sqrt(share) + second * math.sqrt(1 - share)
            down, up = ancestral(sigma, following)
            latent = (down / sigma) * latent + (1 - down / sigma) * clean_halfway + whole * up
        run.stepped(done, clean)
    return latent


def dpmpp_2m_sde(
    denoise: Denoise, latent: Tensor, sigmas: Sequence[float], run: Run, *, heun: bool = False
) -> Tensor:
    """DPM-Solver++(2M) for the stochastic equation (Lu et al. 2022, appendix); `heun` weights the correction
    exactly."""
    before: Tensor | None = None
    last_length = 0.0
    for done, (sigma, following) in enumerate(pairwise(sigmas), 1):
        clean = denoise(latent, sigma)
        if following == 0:
            latent = clean
        else:
            length = math.log(sigma / following)
            latent = _towards(latent, clean, length)
            if before is not None:
                weight = _phi_2(2 * length) if heun else -math.expm1(-2 * length) / 2
                latent = latent + (clean - before) * (weight * length / last_length)
            latent = _noisier(latent, _fresh(following, length), run)
            last_length = length
        before = clean
        run.stepped(done, clean)
    return latent


def dpmpp_3m_sde(denoise: Denoise, latent: Tensor, sigmas: Sequence[float], run: Run) -> Tensor:
    """The same with a parabola through the last three clean latents, as soon as there are three."""
    past: list[tuple[Tensor, float]] = []
    for done, (sigma, following) in enumerate(pairwise(sigmas), 1):
        clean = denoise(latent, sigma)
        if following == 0:
            latent = clean
        else:
            length = math.log(sigma / following)
            latent = _towards(latent, clean, length) + _curved(clean, past, length)
            latent = _noisier(latent, _fresh(following, length), run)
            past = [(clean, length), *past[:1]]
        run.stepped(done, clean)
    return latent


def ddpm(denoise: Denoise, latent: Tensor, sigmas: Sequence[float], run: Run) -> Tensor:
    """Ho et al. 2020: each step draws from the exact posterior, given the clean latent."""
    for done, (sigma, following) in enumerate(pairwise(sigmas), 1):
        clean = denoise(latent, sigma)
        # In this picture the posterior's mean lies (following/sigma)² of the way from clean to the latent.
        kept = (following / sigma) ** 2
        spread = following * math.sqrt(1 - kept)
        latent = _noisier(clean + (latent - clean) * kept, spread, run)
        run.stepped(done, clean)
    return latent


def lcm(denoise: Denoise, latent: Tensor, sigmas: Sequence[float], run: Run) -> Tensor:
    """For weights distilled to consistency: believe the clean latent, then noise it again."""
    for done, (sigma, following) in enumerate(pairwise(sigmas), 1):
        clean = denoise(latent, sigma)
        latent = _noisier(clean, following, run)
        run.stepped(done, clean)
    return latent


def _noisier(latent: Tensor, amount: float, run: Run) -> Tensor:
    return latent + run.noise(latent) * amount if amount > 0 else latent


def _towards(latent: Tensor, clean: Tensor, length: float) -> Tensor:
    """The step of the stochastic equation when the clean latent stays the same: it closes in twice
    as fast."""
    return math.exp(-2 * length) * latent - math.expm1(-2 * length) * clean


def _fresh(following: float, length: float) -> float:
    """How much noise such a step adds to end at level `following`."""
    return following * math.sqrt(-math.expm1(-2 * length))


def _phi_2(h: float) -> float:
    """The weight of a straight line's rise over a step, relative to the step."""
    return 1 + math.expm1(-h) / h


def _curved(clean: Tensor, past: Sequence[tuple[Tensor, float]], length: float) -> Tensor:
    """What the course of the clean latent adds: a line through two, a parabola through three."""
    if not past:
        return clean.new_zeros(())
    h = 2 * length
    before, last = past[0]
    rise = (clean - before) / last
    if len(past) == 1:
        return rise * (length * _phi_2(h))
    earlier, last_but_one = past[1]
    rise_before = (before - earlier) / last_but_one
    bend = (rise - rise_before) / (last + last_but_one)
    # Newton's form: the slope at the present place, and the second difference. Integration would weigh the
    # bend twice as much; the published method, whose pictures people expect, takes half.
    slope = rise + bend * last
    return slope * (length * _phi_2(h)) + bend * (length**2 * (0.5 - _phi_2(h) / h))
