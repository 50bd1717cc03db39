"""One sampling run: latent in, latent out, told step by step to whoever watches."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from .. import progress
from . import memory
from .diffusion import DiffusionModel
from .errors import LatentUnusable
from .guidance import Conditioning, Guidance
from .samplers import Denoise, Run, sampler
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
    _check(model, latent)
    sampler(plan.sampler)  # An unavailable one is refused before anything is computed.
    sigmas = plan.sigmas(model)
    if len(sigmas) < 2:
        return latent.clone()
    with torch.no_grad(), memory.dropping_when_full():
        return _solved(
            model, plan, Guidance(model, positive, negative, plan.scale, latent), latent, mask, sigmas
        )


def _solved(
    model: DiffusionModel,
    plan: Plan,
    guidance: Guidance,
    latent: Tensor,
    mask: Tensor | None,
    sigmas: Sequence[float],
) -> Tensor:
    device = memory.device()
    clean = latent.float().to(device) * model.latents.scale
    noise = unit_noise(latent, plan.seed).to(device) if plan.add_noise else torch.zeros_like(clean)
    denoise: Denoise = guidance if mask is None else _Masked(guidance, clean, noise, _fitted(mask, clean))
    # The seed itself makes the first noise; its successor the noise of the steps.
    run = Run(torch.Generator("cpu").manual_seed((plan.seed + 1) % 2**64), _watcher(model, len(sigmas) - 1))
    started = model.noise.begin(clean, noise, sigmas[0])
    solved = sampler(plan.sampler)(denoise, started, sigmas, run)
    return (solved / model.latents.scale).cpu()


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


def _watcher(model: DiffusionModel, total: int) -> Callable[[int, Tensor], None]:
    watching = progress.current()

    def stepped(done: int, clean: Tensor) -> None:
        picture = preview(clean, model.latents) if watching.wants_previews else None
        watching.update(done, total, picture)
        watching.check_interrupted()

    return stepped


def _check(model: DiffusionModel, latent: Tensor) -> None:
    if latent.dim() != 4 or latent.shape[1] != model.shape.in_channels:
        raise LatentUnusable(
            f"it has the shape {list(latent.shape)}; the model takes [B, {model.shape.in_channels}, h, w]"
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
