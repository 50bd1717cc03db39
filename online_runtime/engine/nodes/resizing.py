"""Resizing of pictures and latents [B, C, H, W] by the methods that ComfyUI names."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

IMAGE_METHODS = ["nearest-exact", "bilinear", "area", "bicubic", "lanczos"]
LATENT_METHODS = ["nearest-exact", "bilinear", "area", "bicubic", "bislerp"]
CROPS = ["disabled", "center"]


def resized(samples: Tensor, width: int, height: int, method: str, crop: str = "disabled") -> Tensor:
    """`samples` at `width` x `height`; with crop "center" the longer side is cut first, so that nothing is
    stretched."""
    from torch.nn.functional import interpolate

    if crop == "center":
        samples = _centred(samples, width, height)
    if method == "bislerp":
        return _along(_along(samples, -1, width), -2, height)
    if method == "lanczos":
        return _lanczos(samples, width, height)
    return interpolate(samples, size=(height, width), mode=method)


def sides(width: int, height: int, old_width: int, old_height: int) -> tuple[int, int]:
    """Width and height wanted; a side of 0 follows from the other, two zeros keep the old size."""
    if width == 0 and height == 0:
        return old_width, old_height
    if width == 0:
        return max(1, round(old_width * height / old_height)), height
    if height == 0:
        return width, max(1, round(old_height * width / old_width))
    return width, height


def _centred(samples: Tensor, width: int, height: int) -> Tensor:
    old_height, old_width = samples.shape[-2:]
    kept_width = min(old_width, max(1, round(old_height * width / height)))
    kept_height = min(old_height, max(1, round(old_width * height / width)))
    left, top = (old_width - kept_width) // 2, (old_height - kept_height) // 2
    return samples[..., top : top + kept_height, left : left + kept_width]


def _lanczos(samples: Tensor, width: int, height: int) -> Tensor:
    """By Pillow, plane by plane in 32-bit floats: nothing is rounded to bytes on the way."""
    import numpy as np
    import torch
    from PIL import Image

    planes = samples.detach().cpu().float().reshape(-1, *samples.shape[-2:]).numpy()
    images = [
        Image.fromarray(plane, mode="F").resize((width, height), Image.Resampling.LANCZOS) for plane in planes
    ]
    resized = torch.from_numpy(np.stack([np.asarray(image) for image in images]))
    return resized.reshape(*samples.shape[:-2], height, width).to(samples.device, samples.dtype)


def _along(samples: Tensor, axis: int, length: int) -> Tensor:
    """One axis at `length`, turning from each latent vector to its neighbour (channels are the vector)."""
    import torch

    old = samples.shape[axis]
    places = ((torch.arange(length, device=samples.device) + 0.5) * old / length - 0.5).clamp(0, old - 1)
    first = places.floor().long()
    second = (first + 1).clamp(max=old - 1)
    share = (places - first).to(samples.dtype)
    share = share.reshape(-1, *[1] * (-axis - 1))
    return _turned(samples.index_select(axis, first), samples.index_select(axis, second), share)


def _turned(a: Tensor, b: Tensor, share: Tensor) -> Tensor:
    """`share` of the way from `a` to `b` on an arc, lengths in a straight line; straight where there is no
    arc."""
    import torch

    length_a, length_b = a.norm(dim=1, keepdim=True), b.norm(dim=1, keepdim=True)
    cosine = (a * b).sum(1, keepdim=True) / (length_a * length_b).clamp(min=1e-12)
    angle = torch.acos(cosine.clamp(-1, 1))
    sine = angle.sin()
    arc = (((1 - share) * angle).sin() * a / length_a.clamp(min=1e-12)) + (
        (share * angle).sin() * b / length_b.clamp(min=1e-12)
    )
    arc = arc / sine.clamp(min=1e-12) * (length_a * (1 - share) + length_b * share)
    straight = a * (1 - share) + b * share
    has_arc = (cosine.abs() < 1 - 1e-5) & (length_a > 0) & (length_b > 0)
    return torch.where(has_arc, arc, straight)
