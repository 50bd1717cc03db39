"""The VAE object: pictures to latents and back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from .. import progress
from . import memory
from .errors import LatentUnusable
from .tiles import by_tiles

# A temporal decoder sees this many frames at a time: what lies further apart hardly matters to it.
FRAMES_TOGETHER = 8


@dataclass(frozen=True)
class VAE:
    """What a node calls VAE. Latents are the autoencoder's own, not multiplied by a family's factor.

    A `temporal` one decodes a batch as the frames of one video.
    """

    network: nn.Module
    channels: int
    reduction: int
    temporal: bool = False

    @torch.no_grad()
    def encode(self, pixels: Tensor) -> Tensor:
        """Latents [B, C, h, w] of `pixels` [B, H, W, 3 or more] in 0..1; sides are cropped to whole latents,
        in the middle.

        The mean of the encoder's distribution, so that equal pictures give equal latents.
        """
        images = self._cropped(pixels)[..., :3].movedim(-1, 1) * 2 - 1
        return self._each(images, lambda net, one: net.encode(one).latent_dist.mode())

    @torch.no_grad()
    def decode(self, latents: Tensor) -> Tensor:
        """Pictures [B, H, W, 3] in 0..1 of `latents` [B, C, h, w]. Raises LatentUnusable."""
        if latents.dim() != 4 or latents.shape[1] != self.channels:
            raise LatentUnusable(
                f"it has the shape {list(latents.shape)}; this VAE takes [B, {self.channels}, h, w]"
            )
        if self.temporal:
            images = self._each(
                latents,
                lambda net, some: net.decode(some, num_frames=len(some), return_dict=False)[0],
                FRAMES_TOGETHER,
            )
        else:
            images = self._each(latents, lambda net, one: net.decode(one, return_dict=False)[0])
        return ((images + 1) / 2).clamp(0, 1).movedim(1, -1).contiguous()

    @torch.no_grad()
    def encode_tiled(self, pixels: Tensor, tile: int, overlap: int) -> Tensor:
        """As `encode`, in squares of `tile` pixels: for pictures that do not fit into memory as a whole."""
        sizes = [max(1, size // self.reduction) * self.reduction for size in (tile, overlap)]
        images = self._cropped(pixels)[..., :3].movedim(-1, 1)
        parts = [
            by_tiles(
                one, lambda part: self.encode(part.movedim(1, -1)), *_fitting(*sizes), 1 / self.reduction
            )
            for one in torch.split(images, 1)
        ]
        return torch.cat(parts)

    @torch.no_grad()
    def decode_tiled(self, latents: Tensor, tile: int, overlap: int) -> Tensor:
        """As `decode`, in squares of `tile` pixels. A video's frames stay together. Raises LatentUnusable."""
        sizes = [max(1, size // self.reduction) for size in (tile, overlap)]
        together = len(latents) if self.temporal else 1
        parts = [
            by_tiles(some, lambda part: self.decode(part).movedim(-1, 1), *_fitting(*sizes), self.reduction)
            for some in torch.split(latents, together)
        ]
        return torch.cat(parts).movedim(1, -1)

    def _cropped(self, pixels: Tensor) -> Tensor:
        height, width = ((side // self.reduction) * self.reduction for side in pixels.shape[1:3])
        if not height or not width:
            raise LatentUnusable(
                f"a picture of {pixels.shape[2]}x{pixels.shape[1]} is smaller than one latent"
            )
        top, left = (pixels.shape[1] - height) // 2, (pixels.shape[2] - width) // 2
        return pixels[:, top : top + height, left : left + width]

    def _each(self, inputs: Tensor, step: Any, together: int = 1) -> Tensor:
        """One picture at a time, or so many `together`: a batch would need room for all at full size."""
        outputs = []
        with memory.dropping_when_full():
            network = memory.place(self.network)
            first = next(network.parameters())
            for one in torch.split(inputs, together):
                progress.current().check_interrupted()
                outputs.append(step(network, one.to(first.device, first.dtype)).float().cpu())
        return torch.cat(outputs)


def _fitting(tile: int, overlap: int) -> tuple[int, int]:
    """An overlap of at most a quarter of the square: more would not end."""
    return tile, min(overlap, tile // 4)
