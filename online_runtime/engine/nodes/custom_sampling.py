"""Nodes that put a sampling run together from parts: NOISE, GUIDER, SAMPLER and SIGMAS (descending levels
[n]), and those that change how a MODEL is read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..models.offered import SAMPLERS, SCHEDULERS
from .inputs import Input, Inputs

if TYPE_CHECKING:
    from torch import Tensor

    from ..models.conditioned import Conditioning
    from ..models.diffusion import DiffusionModel

Latent = dict[str, Any]
_SEED: Input = ("INT", {"default": 0, "min": 0, "max": 0xFFFFFFFFFFFFFFFF, "control_after_generate": True})
_CFG: Input = ("FLOAT", {"default": 8.0, "min": 0.0, "max": 100.0, "step": 0.1, "round": 0.01})
_STEPS: Input = ("INT", {"default": 20, "min": 1, "max": 10000})
_MODEL: Input = ("MODEL",)


@dataclass(frozen=True)
class Noise:
    """What a node calls NOISE; None is no noise, for a latent that has it already."""

    seed: int | None

    def for_latent(self, samples: Tensor) -> Tensor:
        """Unit noise in the shape of `samples`."""
        import torch

        from ..models.sampling import unit_noise

        return torch.zeros_like(samples) if self.seed is None else unit_noise(samples, self.seed)


@dataclass(frozen=True)
class Guider:
    """What a node calls GUIDER: a model with its conditioning. No negative: no guidance."""

    model: DiffusionModel
    positive: Conditioning
    negative: Conditioning | None = None
    scale: float = 1.0


class KSamplerSelect:
    """A sampler by name."""

    RETURN_TYPES = ("SAMPLER",)
    FUNCTION = "get_sampler"
    CATEGORY = "sampling/custom_sampling/samplers"

    @classmethod
    def INPUT_TYPES(cls) -> Inputs:
        return {"required": {"sampler_name": (list(SAMPLERS),)}}

    def get_sampler(self, sampler_name: str) -> tuple[Any]:
        """Raises SamplerUnavailable, which names the possible ones."""
        from ..models.samplers import sampler

        return (sampler(sampler_name),)


class BasicScheduler:
    """The levels of a schedule for a model."""

    RETURN_TYPES = ("SIGMAS",)
    FUNCTION = "get_sigmas"
    CATEGORY = "sampling/custom_sampling/schedulers"

    @classmethod
    def INPUT_TYPES(cls) -> Inputs:
        denoise = ("FLOAT", {"default": 1.0, "min": 0.0, "max": 1.0, "step": 0.01})
        return {
            "required": {
                "model": _MODEL,
                "scheduler": (list(SCHEDULERS),),
                "steps": _STEPS,
                "denoise": denoise,
            }
        }

    def get_sigmas(self, model: DiffusionModel, scheduler: str, steps: int, denoise: float) -> tuple[Tensor]:
        """`denoise` below 1 gives the end of a longer run; 0 gives none."""
        import torch

        from ..models.schedules import sigmas_for

        return (torch.tensor(sigmas_for(model.noise, "", scheduler, steps, denoise)),)


class KarrasScheduler:
    """The levels of Karras et al. 2022 between two of your own."""

    RETURN_TYPES = ("SIGMAS",)
    FUNCTION = "get_sigmas"
    CATEGORY = "sampling/custom_sampling/schedulers"

    @classmethod
    def INPUT_TYPES(cls) -> Inputs:
        level = {"min": 0.0, "max": 5000.0, "step": 0.01, "round": False}
        return {
            "required": {
                "steps": _STEPS,
                "sigma_max": ("FLOAT", {"default": 14.614642, **level}),
                "sigma_min": ("FLOAT", {"default": 0.0291675, **level}),
                "rho": ("FLOAT", {"default": 7.0, "min": 0.0, "max": 100.0, "step": 0.01, "round": False}),
            }
        }

    def get_sigmas(self, steps: int, sigma_max: float, sigma_min: float, rho: float) -> tuple[Tensor]:
        """`steps` levels and 0; larger `rho` puts more of them at the end."""
        import torch

        from ..models.schedules import karras_between

        return (torch.tensor(karras_between(sigma_max, sigma_min, steps, rho)),)


class SplitSigmas:
    """Levels in two parts that share the one at `step`."""

    RETURN_TYPES = ("SIGMAS", "SIGMAS")
    RETURN_NAMES = ("high_sigmas", "low_sigmas")
    FUNCTION = "get_sigmas"
    CATEGORY = "sampling/custom_sampling/sigmas"

    @classmethod
    def INPUT_TYPES(cls) -> Inputs:
        return {"required": {"sigmas": ("SIGMAS",), "step": ("INT", {"default": 0, "min": 0, "max": 10000})}}

    def get_sigmas(self, sigmas: Tensor, step: int) -> tuple[Tensor, Tensor]:
        """Counted from 0."""
        return sigmas[: step + 1], sigmas[step:]


class RandomNoise:
    """Noise of a seed."""

    RETURN_TYPES = ("NOISE",)
    FUNCTION = "get_noise"
    CATEGORY = "sampling/custom_sampling/noise"

    @classmethod
    def INPUT_TYPES(cls) -> Inputs:
        return {"required": {"noise_seed": _SEED}}

    def get_noise(self, noise_seed: int) -> tuple[Noise]:
        """The same on every machine."""
        return (Noise(noise_seed),)


class DisableNoise:
    """No noise: for a latent that a run before has left noisy."""

    RETURN_TYPES = ("NOISE",)
    FUNCTION = "get_noise"
    CATEGORY = "sampling/custom_sampling/noise"

    @classmethod
    def INPUT_TYPES(cls) -> Inputs:
        return {"required": {}}

    def get_noise(self) -> tuple[Noise]:
        """Zeros."""
        return (Noise(None),)


class BasicGuider:
    """A model with one text, without guidance."""

    RETURN_TYPES = ("GUIDER",)
    FUNCTION = "get_guider"
    CATEGORY = "sampling/custom_sampling/guiders"

    @classmethod
    def INPUT_TYPES(cls) -> Inputs:
        return {"required": {"model": _MODEL, "conditioning": ("CONDITIONING",)}}

    def get_guider(self, model: DiffusionModel, conditioning: Conditioning) -> tuple[Guider]:
        """As with cfg 1."""
        return (Guider(model, conditioning),)


class CFGGuider:
    """A model with a positive and a negative text."""

    RETURN_TYPES = ("GUIDER",)
    FUNCTION = "get_guider"
    CATEGORY = "sampling/custom_sampling/guiders"

    @classmethod
    def INPUT_TYPES(cls) -> Inputs:
        texts = {"positive": ("CONDITIONING",), "negative": ("CONDITIONING",)}
        return {"required": {"model": _MODEL, **texts, "cfg": _CFG}}

    def get_guider(
        self, model: DiffusionModel, positive: Conditioning, negative: Conditioning, cfg: float
    ) -> tuple[Guider]:
        """Guided `cfg` times the difference of both."""
        return (Guider(model, positive, negative, cfg),)


class SamplerCustom:
    """A run with a sampler and levels of your own; the second output is the last estimate without noise."""

    RETURN_TYPES = ("LATENT", "LATENT")
    RETURN_NAMES = ("output", "denoised_output")
    FUNCTION = "sample"
    CATEGORY = "sampling/custom_sampling"

    @classmethod
    def INPUT_TYPES(cls) -> Inputs:
        return {
            "required": {
                "model": _MODEL,
                "add_noise": ("BOOLEAN", {"default": True}),
                "noise_seed": _SEED,
                "cfg": _CFG,
                "positive": ("CONDITIONING",),
                "negative": ("CONDITIONING",),
                "sampler": ("SAMPLER",),
                "sigmas": ("SIGMAS",),
                "latent_image": ("LATENT",),
            }
        }

    def sample(
        self,
        model: DiffusionModel,
        add_noise: bool,
        noise_seed: int,
        cfg: float,
        positive: Conditioning,
        negative: Conditioning,
        sampler: Any,
        sigmas: Tensor,
        latent_image: Latent,
    ) -> tuple[Latent, Latent]:
        """Raises as KSampler."""
        guider = Guider(model, positive, negative, cfg)
        noise = Noise(noise_seed if add_noise else None)
        return _solved(guider, noise, noise_seed, sampler, sigmas, latent_image)


class SamplerCustomAdvanced:
    """A run of all its parts; the second output is the last estimate without noise."""

    RETURN_TYPES = ("LATENT", "LATENT")
    RETURN_NAMES = ("output", "denoised_output")
    FUNCTION = "sample"
    CATEGORY = "sampling/custom_sampling"

    @classmethod
    def INPUT_TYPES(cls) -> Inputs:
        return {
            "required": {
                "noise": ("NOISE",),
                "guider": ("GUIDER",),
                "sampler": ("SAMPLER",),
                "sigmas": ("SIGMAS",),
                "latent_image": ("LATENT",),
            }
        }

    def sample(
        self, noise: Noise, guider: Guider, sampler: Any, sigmas: Tensor, latent_image: Latent
    ) -> tuple[Latent, Latent]:
        """Raises as KSampler."""
        return _solved(guider, noise, noise.seed or 0, sampler, sigmas, latent_image)


def _solved(
    guider: Guider, noise: Noise, seed: int, sampler: Any, sigmas: Tensor, latent: Latent
) -> tuple[Latent, Latent]:
    from ..models.guidance import Guidance
    from ..models.sampling import Course, check_latent, solve

    samples = latent["samples"]
    check_latent(guider.model, samples)
    guidance = Guidance(guider.model, guider.positive, guider.negative, guider.scale, samples)
    course = Course(sampler, [float(sigma) for sigma in sigmas], seed)
    mask = latent.get("noise_mask")
    solved = solve(guider.model, guidance, course, samples, noise.for_latent(samples), mask)
    return {**latent, "samples": solved.samples}, {**latent, "samples": solved.clean}


class ModelSamplingDiscrete:
    """Tells what a model's output means, where its file does not."""

    RETURN_TYPES = ("MODEL",)
    FUNCTION = "patch"
    CATEGORY = "advanced/model"
    SAMPLING = ("eps", "v_prediction", "lcm", "x0")

    @classmethod
    def INPUT_TYPES(cls) -> Inputs:
        zsnr = ("BOOLEAN", {"default": False})
        return {"required": {"model": _MODEL, "sampling": (list(cls.SAMPLING),), "zsnr": zsnr}}

    def patch(self, model: DiffusionModel, sampling: str, zsnr: bool) -> tuple[DiffusionModel]:
        """`zsnr`: trained down to no signal at all. Another MODEL that shares the weights."""
        from ..models.noise import DistilledNoise, Prediction, TrainedNoise

        if sampling == "lcm":
            return (model.with_noise(DistilledNoise(zero_snr=zsnr)),)
        return (model.with_noise(TrainedNoise(Prediction(sampling), zero_snr=zsnr)),)


class RescaleCFG:
    """Guidance that keeps the contrast of the positive answer; 0 is plain guidance."""

    RETURN_TYPES = ("MODEL",)
    FUNCTION = "patch"
    CATEGORY = "advanced/model"

    @classmethod
    def INPUT_TYPES(cls) -> Inputs:
        share = ("FLOAT", {"default": 0.7, "min": 0.0, "max": 1.0, "step": 0.01})
        return {"required": {"model": _MODEL, "multiplier": share}}

    def patch(self, model: DiffusionModel, multiplier: float) -> tuple[DiffusionModel]:
        """Another MODEL that shares the weights."""
        from ..models.guidance_rules import rescaled

        return (model.with_rule(rescaled(multiplier)),)


NODE_CLASS_MAPPINGS = {
    "KSamplerSelect": KSamplerSelect,
    "BasicScheduler": BasicScheduler,
    "KarrasScheduler": KarrasScheduler,
    "SplitSigmas": SplitSigmas,
    "RandomNoise": RandomNoise,
    "DisableNoise": DisableNoise,
    "BasicGuider": BasicGuider,
    "CFGGuider": CFGGuider,
    "SamplerCustom": SamplerCustom,
    "SamplerCustomAdvanced": SamplerCustomAdvanced,
    "ModelSamplingDiscrete": ModelSamplingDiscrete,
    "RescaleCFG": RescaleCFG,
}
NODE_DISPLAY_NAME_MAPPINGS: dict[str, str] = {}
