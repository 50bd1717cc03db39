"""One sampling run: latent in, latent out, told step by step to whoever watches."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from .. import progress
from . import memory
from .conditioned import Conditioning
from .diffusion import DiffusionModel
from .errors import LatentUnusable
from .guidance import Guidance
from .samplers import Denoise, Run, Sampler, sampler
from .schedules import sigmas_for

if TYPE_CHECKING:
    from PIL import Image

    from .families import LatentFormat


@dataclass(frozen=True)
class Plan:
    """What a run does. `first` and `last` cut a part out of its steps; `keep_noise` leaves the part's end
    noisy.

    `add_noise` is False for a latent that a run before has left noisy.
    """

    seed: int
    steps: int
    scale: float
    sampler: str
    scheduler: str
    denoise: float = 1.0
    add_noise: bool = True
    first: int = 0
    last: int | None = None
    keep_noise: bool = False

    def sigmas(self, model: DiffusionModel) -> list[float]:
        """The levels of this part, descending; fewer than two mean that there is nothing to do."""
        sigmas = sigmas_for(model.noise, self.sampler, self.scheduler, self.steps, self.denoise)
        if self.last is not None and self.last < len(sigmas) - 1:
            sigmas = sigmas[: self.last + 1]
            if not self.keep_noise:
                sigmas[-1] = 0.0
        return sigmas[self.first :]


@dataclass(frozen=True)
class Course:
    """How a latent is solved: by `sampler` over descending `sigmas`; `seed` is that of the steps' noise."""

    sampler: Sampler
    sigmas: Sequence[float]
    seed: int


@dataclass(frozen=True)
class Solved:
    """Latents [B, 4, h, w] on the CPU: at the last level, and the model's last idea of the clean one."""

    samples: Tensor
    clean: Tensor


def sample(
    model: DiffusionModel,
    plan: Plan,
    positive: Conditioning,
    negative: Conditioning,
    latent: Tensor,
    mask: Tensor | None = None,
) -> Tensor:
    """`latent` [B, 4, h, w] after the run, on the CPU. Where `mask` [·, H, W] is 0 the latent stays what it
    was.

    Equal plans and inputs give equal latents. Raises SamplingError before the first step, Interrupted, out
    of memory.
    """
    check_latent(model, latent)
    course = Course(sampler(plan.sampler), plan.sigmas(model), plan.seed)
    if len(course.sigmas) < 2:
        return latent.clone()
    noise = unit_noise(latent, plan.seed) if plan.add_noise else torch.zeros_like(latent)
    guidance = Guidance(model, positive, negative, plan.scale, latent)
    return solve(model, guidance, course, latent, noise, mask).samples


def solve(
    model: DiffusionModel,
    guidance: Denoise,
    course: Course,
    latent: Tensor,
    noise: Tensor,
    mask: Tensor | None,
) -> Solved:
    """`latent` with unit `noise`, solved by `course`. Raises as `sample`."""
    check_latent(model, latent)
    if len(course.sigmas) < 2:
        return Solved(latent.clone(), latent.clone())
    with torch.no_grad(), memory.dropping_when_full():
        device = memory.device()
        clean = latent.float().to(device) * model.latents.scale
        noise = noise.float().to(device)
        denoise = guidance if mask is None else _Masked(guidance, clean, noise, _fitted(mask, clean))
        watcher = _Watcher(model, len(course.sigmas) - 1, clean)
        # The seed itself makes the first noise; its successor the noise of the steps.
        run = Run(torch.Generator("cpu").manual_seed((course.seed + 1) % 2**64), watcher.stepped)
        started = model.noise.begin(clean, noise, course.sigmas[0])
        solved = course.sampler(denoise, started, course.sigmas, run)
        scale = model.latents.scale
        return Solved((solved / scale).cpu(), (watcher.clean / scale).cpu())


def unit_noise(like: Tensor, seed: int) -> Tensor:
    """The noise of `seed` in the shape of `like`: on the CPU, as torch.manual_seed(seed) gives it."""
    return torch.randn(like.shape, generator=torch.Generator("cpu").manual_seed(seed), dtype=torch.float32)


def preview(clean: Tensor, latents: LatentFormat) -> Image.Image:
    """A small picture (one pixel a latent) of the first of `clean` [B, 4, h, w], by a linear map to
    colours."""
    from PIL import Image

    colours = torch.einsum("chw,cr->hwr", clean[0].float().cpu(), torch.tensor(latents.rgb))
    colours = (colours + torch.tensor(latents.rgb_offset) + 1) / 2
    return Image.fromarray((colours.clamp(0, 1) * 255).byte().numpy(), "RGB")


class _Watcher:
    """Tells each step to whoever watches, and keeps the last estimate."""

    def __init__(self, model: DiffusionModel, total: int, clean: Tensor) -> None:
        self._watching = progress.current()
        self._latents, self._total = model.latents, total
        self.clean = clean

    def stepped(self, done: int, clean: Tensor) -> None:
        """Step `done` gave the estimate `clean`."""
        self.clean = clean
        picture = preview(clean, self._latents) if self._watching.wants_previews else None
        self._watching.update(done, self._total, picture)
        self._watching.check_interrupted()


def check_latent(model: DiffusionModel, latent: Tensor) -> None:
    """Raises LatentUnusable when `latent` is none of `model`'s."""
    if latent.dim() != 4 or latent.shape[1] != model.shape.out_channels:
        raise LatentUnusable(
            f"it has the shape {list(latent.shape)}; the model takes [B, {model.shape.out_channels}, h, w]"
        )


class _Masked:
    """A denoiser that answers the old latent where the mask is 0, and gives it there at the right noise
    level."""

    def __init__(self, inner: Denoise, clean: Tensor, noise: Tensor, mask: Tensor) -> None:
        self._inner, self._clean, self._noise, self._mask = inner, clean, noise, mask

    def __call__(self, noisy: Tensor, sigma: float) -> Tensor:
        kept = self._clean + self._noise * sigma
        answer = self._inner(noisy * self._mask + kept * (1 - self._mask), sigma)
        return answer * self._mask + self._clean * (1 - self._mask)


def _fitted(mask: Tensor, latent: Tensor) -> Tensor:
    """`mask` [B, H, W] or [B, 1, H, W] at the latent's size, one for each picture."""
    planes = mask.float().reshape(-1, 1, mask.shape[-2], mask.shape[-1])
    planes = torch.nn.functional.interpolate(planes, size=latent.shape[2:], mode="bilinear")
    repeats = -(-latent.shape[0] // planes.shape[0])
    return planes.repeat(repeats, 1, 1, 1)[: latent.shape[0]].to(latent.device)
