"""The MODEL object of SVD: a UNet over the frames of one video."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from . import memory
from .diffusion import DiffusionModel, for_each
from .errors import ConditioningUnusable

if TYPE_CHECKING:
    from .control import ControlUse

_NUMBERS = ("fps", "motion_bucket_id", "augmentation_level")


@dataclass(frozen=True)
class VideoModel(DiffusionModel):
    """A batch is one video: latents [frames, 4, h, w]."""

    def added(self, options: Mapping[str, Any], latent: Tensor) -> dict[str, Tensor]:
        """Rate, motion and noise of the first picture, and its latent, for each frame.

        Raises ConditioningUnusable."""
        if missing := [name for name in (*_NUMBERS, "concat_latent_image") if name not in options]:
            raise ConditioningUnusable(
                f"a video model needs its {', '.join(missing)}; connect SVD_img2vid_Conditioning"
            )
        first = options["concat_latent_image"]
        if first.shape[2:] != latent.shape[2:]:
            first = torch.nn.functional.interpolate(first, size=latent.shape[2:], mode="bilinear")
        # The model counts frames a second from 0.
        numbers = [[options["fps"] - 1, options["motion_bucket_id"], options["augmentation_level"]]]
        frames = latent.shape[0]
        return {
            "time_ids": torch.tensor(numbers, dtype=torch.float32).repeat(frames, 1),
            "first": for_each(first.float(), frames),
        }

    def denoised(
        self,
        noisy: Tensor,
        sigma: float,
        context: Tensor,
        added: Mapping[str, Tensor],
        runs: int = 1,
        control: ControlUse | None = None,
    ) -> Tensor:
        """As DiffusionModel's; `noisy` [runs · frames, 4, h, w], `context` [runs · frames, 1, width].

        Raises ConditioningUnusable for a ControlNet.
        """
        if control is not None:
            raise ConditioningUnusable("a video model takes no ControlNet; remove it")
        device, dtype = memory.device(), self.unet.dtype
        # The first picture's latent is not scaled, neither by the level nor by the family's factor.
        inputs = torch.cat([self.noise.scaled(noisy, sigma), added["first"].to(noisy.device)], dim=1)
        videos = inputs.reshape(runs, -1, *inputs.shape[1:]).to(device, dtype)
        frames = videos.shape[1]
        output = self.unet(
            videos,
            self.times(sigma, runs),
            context[::frames].to(device, dtype),
            added_time_ids=added["time_ids"][::frames].to(device, dtype),
            return_dict=False,
        )[0]
        return self.noise.denoised(output.flatten(0, 1).float(), noisy.float(), sigma)
