"""Nodes that cut, turn, mix and count LATENT: `{"samples": [B, 4, H/8, W/8]}`. Places are in pixels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .errors import ImagesUnlike
from .image_effects import laid_on
from .inputs import MAX_RESOLUTION, Input, Inputs, side
from .latent import REDUCTION, Latent
from .resizing import resized

if TYPE_CHECKING:
    from torch import Tensor

_ROTATIONS = {"none": 0, "90 degrees": 1, "180 degrees": 2, "270 degrees": 3}
_FLIPS = {"x-axis: vertically": 2, "y-axis: horizontally": 3}


def _place() -> Input:
    return "INT", {"default": 0, "min": 0, "max": MAX_RESOLUTION, "step": 8}


class RepeatLatentBatch:
    """A batch `amount` times in a row."""

    RETURN_TYPES = ("LATENT",)
    FUNCTION = "repeat"
    CATEGORY = "latent/batch"

    @classmethod
    def INPUT_TYPES(cls) -> Inputs:
        return {"required": {"samples": ("LATENT",), "amount": ("INT", {"default": 1, "min": 1, "max": 64})}}

    def repeat(self, samples: Latent, amount: int) -> tuple[Latent]:
        """Masks are repeated too, when there is one for each latent."""
        return (_each(samples, lambda tensor: tensor.repeat(amount, *[1] * (tensor.dim() - 1))),)


class LatentFromBatch:
    """`length` latents of a batch from place `batch_index`, counted from 0."""

    RETURN_TYPES = ("LATENT",)
    FUNCTION = "frombatch"
    CATEGORY = "latent/batch"

    @classmethod
    def INPUT_TYPES(cls) -> Inputs:
        return {
            "required": {
                "samples": ("LATENT",),
                "batch_index": ("INT", {"default": 0, "min": 0, "max": 63}),
                "length": ("INT", {"default": 1, "min": 1, "max": 64}),
            }
        }

    def frombatch(self, samples: Latent, batch_index: int, length: int) -> tuple[Latent]:
        """A place behind the last is the last."""
        start = min(batch_index, len(samples["samples"]) - 1)
        return (_each(samples, lambda tensor: tensor[start : start + length].clone()),)


def _each(latent: Latent, change: Any) -> Latent:
    """`change` of the samples, and of the mask where it has as many entries."""
    result = {**latent, "samples": change(latent["samples"])}
    mask = latent.get("noise_mask")
    if mask is not None and len(mask) == len(latent["samples"]) > 1:
        result["noise_mask"] = change(mask)
    return result


class LatentRotate:
    """Latents turned clockwise."""

    RETURN_TYPES = ("LATENT",)
    FUNCTION = "rotate"
    CATEGORY = "latent/transform"

    @classmethod
    def INPUT_TYPES(cls) -> Inputs:
        return {"required": {"samples": ("LATENT",), "rotation": (list(_ROTATIONS),)}}

    def rotate(self, samples: Latent, rotation: str) -> tuple[Latent]:
        """By quarter turns."""
        import torch

        return ({**samples, "samples": torch.rot90(samples["samples"], _ROTATIONS[rotation], (3, 2))},)


class LatentFlip:
    """Latents mirrored."""

    RETURN_TYPES = ("LATENT",)
    FUNCTION = "flip"
    CATEGORY = "latent/transform"

    @classmethod
    def INPUT_TYPES(cls) -> Inputs:
        return {"required": {"samples": ("LATENT",), "flip_method": (list(_FLIPS),)}}

    def flip(self, samples: Latent, flip_method: str) -> tuple[Latent]:
        """Up and down, or left and right."""
        return ({**samples, "samples": samples["samples"].flip(_FLIPS[flip_method])},)


class LatentCrop:
    """A part of latents."""

    RETURN_TYPES = ("LATENT",)
    FUNCTION = "crop"
    CATEGORY = "latent/transform"

    @classmethod
    def INPUT_TYPES(cls) -> Inputs:
        size = side(low=64)
        return {
            "required": {"samples": ("LATENT",), "width": size, "height": size, "x": _place(), "y": _place()}
        }

    def crop(self, samples: Latent, width: int, height: int, x: int, y: int) -> tuple[Latent]:
        """In pixels; a part that would leave the latent is moved inside."""
        old = samples["samples"]
        wide, high = (
            min(length // REDUCTION, whole)
            for length, whole in ((width, old.shape[3]), (height, old.shape[2]))
        )
        left, top = min(x // REDUCTION, old.shape[3] - wide), min(y // REDUCTION, old.shape[2] - high)
        return ({**samples, "samples": old[:, :, top : top + high, left : left + wide]},)


class LatentComposite:
    """The latents `samples_from` laid on `samples_to` at pixel `x`, `y`."""

    RETURN_TYPES = ("LATENT",)
    FUNCTION = "composite"
    CATEGORY = "latent"

    @classmethod
    def INPUT_TYPES(cls) -> Inputs:
        return {
            "required": {
                "samples_to": ("LATENT",),
                "samples_from": ("LATENT",),
                "x": _place(),
                "y": _place(),
                "feather": _place(),
            }
        }

    def composite(
        self, samples_to: Latent, samples_from: Latent, x: int, y: int, feather: int
    ) -> tuple[Latent]:
        """`feather` in pixels: so far from its inner edges the upper one fades in."""
        import torch

        from .masks import FeatherMask

        under, upper = samples_to["samples"], samples_from["samples"]
        left, top, soft = x // REDUCTION, y // REDUCTION, feather // REDUCTION
        right = under.shape[3] - left - upper.shape[3]
        bottom = under.shape[2] - top - upper.shape[2]
        edges = [soft if inner > 0 else 0 for inner in (left, top, right, bottom)]
        (mask,) = FeatherMask().feather(torch.ones(1, *upper.shape[2:]), *edges)
        return ({**samples_to, "samples": laid_on(under, upper, left, top, False, mask)},)


class LatentCompositeMasked:
    """The latents `source` laid on `destination` at pixel `x`, `y`, where the mask is 1."""

    RETURN_TYPES = ("LATENT",)
    FUNCTION = "composite"
    CATEGORY = "latent"

    @classmethod
    def INPUT_TYPES(cls) -> Inputs:
        return {
            "required": {
                "destination": ("LATENT",),
                "source": ("LATENT",),
                "x": _place(),
                "y": _place(),
                "resize_source": ("BOOLEAN", {"default": False}),
            },
            "optional": {"mask": ("MASK",)},
        }

    def composite(
        self,
        destination: Latent,
        source: Latent,
        x: int,
        y: int,
        resize_source: bool,
        mask: Tensor | None = None,
    ) -> tuple[Latent]:
        """Without a mask all of `source`."""
        place = (x // REDUCTION, y // REDUCTION)
        mixed = laid_on(destination["samples"], source["samples"], *place, resize_source, mask)
        return ({**destination, "samples": mixed},)


class LatentBlend:
    """`blend_factor` of the first latents, the rest of the second."""

    RETURN_TYPES = ("LATENT",)
    FUNCTION = "blend"
    CATEGORY = "_for_testing"

    @classmethod
    def INPUT_TYPES(cls) -> Inputs:
        share = ("FLOAT", {"default": 0.5, "min": 0.0, "max": 1.0, "step": 0.01})
        return {"required": {"samples1": ("LATENT",), "samples2": ("LATENT",), "blend_factor": share}}

    def blend(self, samples1: Latent, samples2: Latent, blend_factor: float) -> tuple[Latent]:
        """The second takes the first one's size. Raises ImagesUnlike for different channels."""
        one, other = samples1["samples"], samples2["samples"]
        if one.shape[1] != other.shape[1]:
            raise ImagesUnlike(f"one latent has {one.shape[1]} channels, the other {other.shape[1]}")
        if one.shape[2:] != other.shape[2:]:
            other = resized(other, one.shape[3], one.shape[2], "bicubic", "center")
        return ({**samples1, "samples": one * blend_factor + other * (1 - blend_factor)},)


NODE_CLASS_MAPPINGS = {
    "RepeatLatentBatch": RepeatLatentBatch,
    "LatentFromBatch": LatentFromBatch,
    "LatentRotate": LatentRotate,
    "LatentFlip": LatentFlip,
    "LatentCrop": LatentCrop,
    "LatentComposite": LatentComposite,
    "LatentCompositeMasked": LatentCompositeMasked,
    "LatentBlend": LatentBlend,
}
NODE_DISPLAY_NAME_MAPPINGS = {
    "RepeatLatentBatch": "Repeat Latent Batch",
    "LatentFromBatch": "Latent From Batch",
    "LatentRotate": "Rotate Latent",
    "LatentFlip": "Flip Latent",
    "LatentCrop": "Crop Latent",
    "LatentComposite": "Latent Composite",
    "LatentBlend": "Latent Blend",
}
