"""The sampler whose steps diffusers makes: UniPC.

Diffusers' latents have unit variance at every level ("variance preserving"): the same latent over √(1 + σ²).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor

from .run import Denoise, Run

# Higher orders are unstable with guidance, says UniPC's paper.
HIGHEST_ORDER = 3


def uni_pc(denoise: Denoise, latent: Tensor, sigmas: Sequence[float], run: Run, *, variant: str) -> Tensor:
    """UniPC (Zhao et al. 2023) predicting clean latents; `variant` is bh1 or bh2."""
    import diffusers

    order = max(1, min(HIGHEST_ORDER, len(sigmas) - 2))
    build: Any = diffusers.UniPCMultistepScheduler
    scheduler = build(prediction_type="sample", solver_order=order, solver_type=variant)
    return _run(scheduler, denoise, latent, sigmas, run)


def _run(scheduler: Any, denoise: Denoise, latent: Tensor, sigmas: Sequence[float], run: Run) -> Tensor:
    steps = len(sigmas) - 1
    scheduler.set_timesteps(steps)
    scheduler.sigmas = torch.tensor(sigmas, dtype=torch.float32)
    # Only their order counts here: the scheduler finds its place by them.
    scheduler.timesteps = torch.arange(steps, 0, -1)
    scheduler.set_begin_index(0)
    for done, (sigma, following) in enumerate(pairwise(sigmas), 1):
        clean = denoise(latent, sigma)
        if following == 0:
            # First order, and so exactly this; diffusers would take the logarithm of 0.
            latent = clean
        else:
            unit = latent / math.sqrt(1 + sigma**2)
            stepped = scheduler.step(clean, scheduler.timesteps[done - 1], unit, return_dict=False)[0]
            latent = stepped * math.sqrt(1 + following**2)
        run.stepped(done, clean)
    return latent
