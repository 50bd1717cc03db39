"""Nodes that run a model over a latent."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..models.offered import SAMPLERS, SCHEDULERS
from .inputs import Input, Inputs

if TYPE_CHECKING:
    from ..models.diffusion import DiffusionModel

Latent = dict[str, Any]
_SEED: Input = ("INT", {"default": 0, "min": 0, "max": 0xFFFFFFFFFFFFFFFF, "control_after_generate": True})
_STEPS: Input = ("INT", {"default": 20, "min": 1, "max": 10000})
_CFG: Input = ("FLOAT", {"default": 8.0, "min": 0.0, "max": 100.0, "step": 0.1, "round": 0.01})


def _sampled(
    model: DiffusionModel, positive: Any, negative: Any, latent: Latent, plan: dict[str, Any]
) -> tuple[Latent]:
    from ..models.sampling import Plan, sample

    samples = sample(
        model, Plan(**plan), positive, negative, latent["samples"], mask=latent.get("noise_mask")
    )
    return ({**latent, "samples": samples},)


class KSampler:
    """Takes noise out of a latent, guided by a positive and a negative text. Equal inputs give equal
    latents."""

    RETURN_TYPES = ("LATENT",)
    FUNCTION = "sample"
    CATEGORY = "sampling"

    @classmethod
    def INPUT_TYPES(cls) -> Inputs:
        return {
            "required": {
                "model": ("MODEL",),
                "seed": _SEED,
                "steps": _STEPS,
                "cfg": _CFG,
                "sampler_name": (list(SAMPLERS),),
                "scheduler": (list(SCHEDULERS),),
                "positive": ("CONDITIONING",),
                "negative": ("CONDITIONING",),
                "latent_image": ("LATENT",),
                "denoise": ("FLOAT", {"default": 1.0, "min": 0.0, "max": 1.0, "step": 0.01}),
            }
        }

    def sample(
        self,
        model: DiffusionModel,
        seed: int,
        steps: int,
        cfg: float,
        sampler_name: str,
        scheduler: str,
        positive: Any,
        negative: Any,
        latent_image: Latent,
        denoise: float = 1.0,
    ) -> tuple[Latent]:
        """`denoise` below 1 changes the latent only so far. Raises SamplingError, Interrupted, out of
        memory."""
        plan = {"seed": seed, "steps": steps, "scale": cfg, "sampler": sampler_name, "scheduler": scheduler}
        return _sampled(model, positive, negative, latent_image, {**plan, "denoise": denoise})


class KSamplerAdvanced:
    """The same for a part of the steps, so that several nodes can share one run."""

    RETURN_TYPES = ("LATENT",)
    FUNCTION = "sample"
    CATEGORY = "sampling"

    @classmethod
    def INPUT_TYPES(cls) -> Inputs:
        return {
            "required": {
                "model": ("MODEL",),
                "add_noise": (["enable", "disable"],),
                "noise_seed": _SEED,
                "steps": _STEPS,
                "cfg": _CFG,
                "sampler_name": (list(SAMPLERS),),
                "scheduler": (list(SCHEDULERS),),
                "positive": ("CONDITIONING",),
                "negative": ("CONDITIONING",),
                "latent_image": ("LATENT",),
                "start_at_step": ("INT", {"default": 0, "min": 0, "max": 10000}),
                "end_at_step": ("INT", {"default": 10000, "min": 0, "max": 10000}),
                "return_with_leftover_noise": (["disable", "enable"],),
            }
        }

    def sample(
        self,
        model: DiffusionModel,
        add_noise: str,
        noise_seed: int,
        steps: int,
        cfg: float,
        sampler_name: str,
        scheduler: str,
        positive: Any,
        negative: Any,
        latent_image: Latent,
        start_at_step: int,
        end_at_step: int,
        return_with_leftover_noise: str,
    ) -> tuple[Latent]:
        """Steps `start_at_step` up to `end_at_step`, counted from 0. Raises as KSampler."""
        plan = {
            "seed": noise_seed,
            "steps": steps,
            "scale": cfg,
            "sampler": sampler_name,
            "scheduler": scheduler,
            "add_noise": add_noise != "disable",
            "first": start_at_step,
            "last": end_at_step,
            "keep_noise": return_with_leftover_noise == "enable",
        }
        return _sampled(model, positive, negative, latent_image, plan)


NODE_CLASS_MAPPINGS = {"KSampler": KSampler, "KSamplerAdvanced": KSamplerAdvanced}
NODE_DISPLAY_NAME_MAPPINGS = {"KSampler": "KSampler", "KSamplerAdvanced": "KSampler (Advanced)"}
