"""Samplers: from a noisy latent to one without noise, over descending noise levels.

Each is a function `(denoise, latent, sigmas, run)`. They work in the "variance exploding" picture of Karras
et al. 2022:
`latent = clean + sigma · noise`, and `denoise(latent, sigma)` gives the expected clean one.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from ..errors import SamplerUnavailable
from ..offered import POSSIBLE_SAMPLERS
from .by_diffusers import uni_pc
from .exponential import dpmpp_2m, dpmpp_2s_ancestral, res_multistep, res_multistep_ancestral
from .ordinary import deis, dpm_2, euler, gradient_estimation, heun, ipndm, lms
from .run import Denoise, Run, Sampler
from .stochastic import (
    ddpm,
    dpm_2_ancestral,
    dpmpp_2m_sde,
    dpmpp_3m_sde,
    dpmpp_sde,
    euler_ancestral,
    lcm,
)

_dpmpp_2m_sde_heun = partial(dpmpp_2m_sde, heun=True)

# The names ending in _gpu tell ComfyUI where to make the noise; here it always comes from the CPU, so that
# equal seeds
# give equal pictures on every machine. ddim without noise of its own is Euler's step in this picture.
_SAMPLERS: Mapping[str, Sampler] = {
    "euler": euler,
    "euler_ancestral": euler_ancestral,
    "heun": heun,
    "dpm_2": dpm_2,
    "dpm_2_ancestral": dpm_2_ancestral,
    "lms": lms,
    "dpmpp_2s_ancestral": dpmpp_2s_ancestral,
    "dpmpp_sde": dpmpp_sde,
    "dpmpp_sde_gpu": dpmpp_sde,
    "dpmpp_2m": dpmpp_2m,
    "dpmpp_2m_sde": dpmpp_2m_sde,
    "dpmpp_2m_sde_gpu": dpmpp_2m_sde,
    "dpmpp_2m_sde_heun": _dpmpp_2m_sde_heun,
    "dpmpp_2m_sde_heun_gpu": _dpmpp_2m_sde_heun,
    "dpmpp_3m_sde": dpmpp_3m_sde,
    "dpmpp_3m_sde_gpu": dpmpp_3m_sde,
    "ddpm": ddpm,
    "lcm": lcm,
    "ipndm": ipndm,
    "deis": deis,
    "res_multistep": res_multistep,
    "res_multistep_ancestral": res_multistep_ancestral,
    "gradient_estimation": gradient_estimation,
    "ddim": euler,
    "uni_pc": partial(uni_pc, variant="bh1"),
    "uni_pc_bh2": partial(uni_pc, variant="bh2"),
}


def sampler(name: str) -> Sampler:
    """The sampler `name`. Raises SamplerUnavailable, which names the possible ones."""
    if name not in _SAMPLERS:
        raise SamplerUnavailable("sampler", name, POSSIBLE_SAMPLERS)
    return _SAMPLERS[name]


__all__ = ["Denoise", "Run", "Sampler", "sampler"]
