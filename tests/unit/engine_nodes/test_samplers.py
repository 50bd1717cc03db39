"""Each sampler against a case with a known answer.

For data that is Gaussian with spread S the best denoiser is x·S²/(S² + σ²), and the flow's exact solution is
x(σ) = x(σ₀)·√((S² + σ²)/(S² + σ₀²)).
"""

from __future__ import annotations

import math
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest

from online_runtime.engine.models.errors import SamplerUnavailable
from online_runtime.engine.models.noise import TrainedNoise
from online_runtime.engine.models.offered import POSSIBLE_SAMPLERS, SAMPLERS
from online_runtime.engine.models.schedules import sigmas_for

if TYPE_CHECKING:
    from torch import Tensor

pytestmark = pytest.mark.slow

SPREAD = 0.6
ORDERS = {
    1: ("euler", "ddim"),
    2: ("heun", "dpm_2", "dpmpp_2m", "res_multistep"),
    3: ("lms", "deis", "uni_pc", "uni_pc_bh2"),
}
RANDOM = (
    "euler_ancestral", "dpm_2_ancestral", "dpmpp_2s_ancestral", "dpmpp_sde", "dpmpp_2m_sde",
    "dpmpp_2m_sde_heun", "dpmpp_3m_sde", "ddpm", "res_multistep_ancestral",
)  # fmt: skip


def denoise(latent: Tensor, sigma: float) -> Tensor:
    return latent * (SPREAD**2 / (SPREAD**2 + sigma**2))


def solved(
    name: str, steps: int, count: int = 1, keep_noise: bool = False
) -> tuple[Tensor, Tensor, list[float]]:
    """The start, what the sampler made of it, and the levels; `keep_noise`: uneven ones that end above 0."""
    import torch

    from online_runtime.engine.models.samplers import Run, sampler

    sigmas = uneven(steps) if keep_noise else sigmas_for(TrainedNoise(), name, "karras", steps)
    spread = math.sqrt(SPREAD**2 + sigmas[0] ** 2)
    start = (
        torch.randn(1, 1, count, 1, generator=torch.Generator().manual_seed(5), dtype=torch.float64) * spread
    )
    seen: list[int] = []
    run = Run(torch.Generator().manual_seed(6), lambda done, clean: seen.append(done))
    end = sampler(name)(denoise, start, sigmas, run)
    assert seen == list(range(1, len(sigmas)))
    return start, end, sigmas


def uneven(steps: int) -> list[float]:
    """Levels whose steps are long and short in turn: only weights that know the lengths keep their order."""
    highest, lowest = TrainedNoise().highest, TrainedNoise().lowest
    places = [0.0]
    for step in range(steps):
        places.append(places[-1] + (1 if step % 2 else 2.5))
    return [highest * (lowest / highest) ** (place / places[-1]) for place in places]


def error(name: str, steps: int) -> float:
    start, end, sigmas = solved(name, steps, keep_noise=True)
    exact = start * math.sqrt((SPREAD**2 + sigmas[-1] ** 2) / (SPREAD**2 + sigmas[0] ** 2))
    return float(((end - exact) / exact).abs().max())


@pytest.mark.parametrize(("order", "name"), [(o, n) for o, names in ORDERS.items() for n in names])
def test_a_sampler_comes_closer_to_the_exact_answer_as_its_order_says(order: int, name: str) -> None:
    coarse, fine = error(name, 40), error(name, 80)
    assert coarse < 0.05
    # Doubling the steps divides the error by 2 to the power of the order; two thirds of the exponent is
    # asked.
    # Diffusers computes UniPC's coefficients in 32 bits, so there is a floor.
    assert fine < max(coarse / 2 ** (order * 0.67), 3e-6), (coarse, fine)


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("dpmpp_2m", {"algorithm_type": "dpmsolver++", "solver_order": 2}),
        ("dpmpp_2m_sde", {"algorithm_type": "sde-dpmsolver++", "solver_order": 2}),
        (
            "dpmpp_2m_sde_heun",
            {"algorithm_type": "sde-dpmsolver++", "solver_order": 2, "solver_type": "heun"},
        ),
    ],
)
def test_dpm_solvers_make_the_steps_that_diffusers_makes(name: str, settings: dict[str, object]) -> None:
    import torch
    from diffusers import DPMSolverMultistepScheduler

    start, end, sigmas = solved(name, 12, count=50, keep_noise=True)
    settings = {**settings, "lower_order_final": False, "final_sigmas_type": "sigma_min"}
    theirs = DPMSolverMultistepScheduler(prediction_type="sample", **settings)
    theirs.set_timesteps(len(sigmas) - 1)
    theirs.sigmas = torch.tensor(sigmas, dtype=torch.float64)
    theirs.timesteps = torch.arange(len(sigmas) - 1, 0, -1)
    theirs.set_begin_index(0)
    latent, generator = start, torch.Generator().manual_seed(6)
    for at, (sigma, following) in enumerate(pairwise(sigmas)):
        noise = torch.randn(latent.shape, generator=generator)
        unit = latent / math.sqrt(1 + sigma**2)
        stepped = theirs.step(denoise(latent, sigma), theirs.timesteps[at], unit, variance_noise=noise)
        latent = stepped.prev_sample * math.sqrt(1 + following**2)
    # Third order with noise is left out: as steps vanish diffusers weighs the bend by −1 there, not by 0.
    assert torch.allclose(end, latent.double(), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", ["ipndm", "gradient_estimation"])
def test_a_sampler_without_a_strict_order_still_converges(name: str) -> None:
    assert error(name, 160) < min(0.05, error(name, 40))


@pytest.mark.parametrize("name", RANDOM)
def test_a_random_sampler_draws_with_the_spread_of_the_data(name: str) -> None:
    _, end, _ = solved(name, 120, count=40_000)
    assert float(end.std()) == pytest.approx(SPREAD, rel=0.05)
    assert abs(float(end.mean())) < 0.02


def test_lcm_ends_in_what_the_denoiser_believes_last() -> None:
    _, end, sigmas = solved("lcm", 4, count=40_000)
    noisy = SPREAD**2 / (SPREAD**2 + sigmas[-2] ** 2)
    assert float(end.std()) < SPREAD * 1.01 and noisy > 0.99


@pytest.mark.parametrize("name", POSSIBLE_SAMPLERS)
@pytest.mark.parametrize("steps", [1, 2, 3])
def test_every_possible_sampler_manages_very_few_steps(name: str, steps: int) -> None:
    import torch

    _, end, _ = solved(name, steps, count=10)
    assert torch.isfinite(end).all()


@pytest.mark.parametrize("name", sorted(set(SAMPLERS) - set(POSSIBLE_SAMPLERS)))
def test_an_impossible_sampler_is_refused_with_the_names_of_the_possible(name: str) -> None:
    from online_runtime.engine.models.samplers import sampler

    with pytest.raises(SamplerUnavailable, match="dpmpp_2m"):
        sampler(name)
