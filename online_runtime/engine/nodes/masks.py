"""Nodes on MASK, float32 [B, H, W] in 0..1."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .inputs import MAX_RESOLUTION, Input, Inputs, side

if TYPE_CHECKING:
    from torch import Tensor

_CHANNELS = ["red", "green", "blue", "alpha"]
_OPERATIONS = ["multiply", "add", "subtract", "and", "or", "xor"]


def _place() -> Input:
    return "INT", {"default": 0, "min": 0, "max": MAX_RESOLUTION, "step": 1}


def planes(mask: Tensor) -> Tensor:
    """`mask` [B, H, W] or [H, W] as [B, H, W]."""
    return mask.reshape(-1, mask.shape[-2], mask.shape[-1])


class MaskToImage:
    """Masks [B, H, W] as grey pictures [B, H, W, 3]."""

    RETURN_TYPES = ("IMAGE",)
    FUNCTION = "mask_to_image"
    CATEGORY = "mask"

    @classmethod
    def INPUT_TYPES(cls) -> Inputs:
        return {"required": {"mask": ("MASK",)}}

    def mask_to_image(self, mask: Tensor) -> tuple[Tensor]:
        """Each value three times."""
        return (planes(mask).unsqueeze(-1).expand(-1, -1, -1, 3).clone(),)


class ImageToMask:
    """One channel of pictures as masks [B, H, W]."""

    RETURN_TYPES = ("MASK",)
    FUNCTION = "image_to_mask"
    CATEGORY = "mask"

    @classmethod
    def INPUT_TYPES(cls) -> Inputs:
        return {"required": {"image": ("IMAGE",), "channel": (list(_CHANNELS),)}}

    def image_to_mask(self, image: Tensor, channel: str) -> tuple[Tensor]:
        """All 1 for the alpha of pictures without."""
        import torch

        at = _CHANNELS.index(channel)
        if at >= image.shape[-1]:
            return (torch.ones(image.shape[:-1]),)
        return (image[..., at].clone(),)


class SolidMask:
    """One mask [1, H, W] of one value."""

    RETURN_TYPES = ("MASK",)
    FUNCTION = "solid"
    CATEGORY = "mask"

    @classmethod
    def INPUT_TYPES(cls) -> Inputs:
        value = ("FLOAT", {"default": 1.0, "min": 0.0, "max": 1.0, "step": 0.01})
        return {
            "required": {
                "value": value,
                "width": side(low=1, step=1),
                "height": side(low=1, step=1),
            }
        }

    def solid(self, value: float, width: int, height: int) -> tuple[Tensor]:
        """Sides in pixels."""
        import torch

        return (torch.full((1, height, width), value),)


class InvertMask:
    """1 minus each value."""

    RETURN_TYPES = ("MASK",)
    FUNCTION = "invert"
    CATEGORY = "mask"

    @classmethod
    def INPUT_TYPES(cls) -> Inputs:
        return {"required": {"mask": ("MASK",)}}

    def invert(self, mask: Tensor) -> tuple[Tensor]:
        """What was chosen is not, and the other way round."""
        return (1.0 - mask,)


class CropMask:
    """A part of masks."""

    RETURN_TYPES = ("MASK",)
    FUNCTION = "crop"
    CATEGORY = "mask"

    @classmethod
    def INPUT_TYPES(cls) -> Inputs:
        size = side(low=1, step=1)
        return {"required": {"mask": ("MASK",), "x": _place(), "y": _place(), "width": size, "height": size}}

    def crop(self, mask: Tensor, x: int, y: int, width: int, height: int) -> tuple[Tensor]:
        """From pixel `x`, `y`; what lies outside is not there."""
        return (planes(mask)[:, y : y + height, x : x + width].clone(),)


class MaskComposite:
    """The masks `source` laid on `destination` at pixel `x`, `y`, joined by `operation`."""

    RETURN_TYPES = ("MASK",)
    FUNCTION = "combine"
    CATEGORY = "mask"

    @classmethod
    def INPUT_TYPES(cls) -> Inputs:
        return {
            "required": {
                "destination": ("MASK",),
                "source": ("MASK",),
                "x": _place(),
                "y": _place(),
                "operation": (list(_OPERATIONS),),
            }
        }

    def combine(self, destination: Tensor, source: Tensor, x: int, y: int, operation: str) -> tuple[Tensor]:
        """and, or and xor take values from 0.5 on as chosen."""
        result, upper = planes(destination).clone(), planes(source)
        under = result[:, y : y + upper.shape[1], x : x + upper.shape[2]]
        upper = upper[:, : under.shape[1], : under.shape[2]]
        under.copy_(_joined(under, upper, operation))
        return (result.clamp(0, 1),)


def _joined(under: Tensor, upper: Tensor, operation: str) -> Tensor:
    if operation == "multiply":
        return under * upper
    if operation == "add":
        return under + upper
    if operation == "subtract":
        return under - upper
    one, other = under.round().bool(), upper.round().bool()
    return {"and": one & other, "or": one | other, "xor": one ^ other}[operation].float()


class FeatherMask:
    """Masks that fade out towards their edges, over so many pixels from each."""

    RETURN_TYPES = ("MASK",)
    FUNCTION = "feather"
    CATEGORY = "mask"

    @classmethod
    def INPUT_TYPES(cls) -> Inputs:
        edges = {name: _place() for name in ("left", "top", "right", "bottom")}
        return {"required": {"mask": ("MASK",), **edges}}

    def feather(self, mask: Tensor, left: int, top: int, right: int, bottom: int) -> tuple[Tensor]:
        """Linear from 1/n at the edge to 1."""
        result = planes(mask).clone()
        for axis, before, after in ((1, top, bottom), (2, left, right)):
            weights = _fading(result.shape[axis], before, after)
            result *= weights.reshape(-1, 1) if axis == 1 else weights
        return (result,)


def _fading(length: int, before: int, after: int) -> Tensor:
    import torch

    weights = torch.ones(length)
    for count, flipped in ((min(before, length), False), (min(after, length), True)):
        if count:
            ramp = (torch.arange(count) + 1) / count
            part = weights[length - count :] if flipped else weights[:count]
            part *= ramp.flip(0) if flipped else ramp
    return weights


class GrowMask:
    """Masks widened by `expand` pixels, or below 0 narrowed."""

    RETURN_TYPES = ("MASK",)
    FUNCTION = "expand_mask"
    CATEGORY = "mask"

    @classmethod
    def INPUT_TYPES(cls) -> Inputs:
        amount = ("INT", {"default": 0, "min": -MAX_RESOLUTION, "max": MAX_RESOLUTION, "step": 1})
        return {
            "required": {
                "mask": ("MASK",),
                "expand": amount,
                "tapered_corners": ("BOOLEAN", {"default": True}),
            }
        }

    def expand_mask(self, mask: Tensor, expand: int, tapered_corners: bool) -> tuple[Tensor]:
        """With `tapered_corners` a single pixel grows to a diamond, else to a square."""
        import torch
        from torch.nn.functional import max_pool2d

        result = planes(mask).unsqueeze(1)
        sign = 1 if expand > 0 else -1
        for _ in range(abs(expand)):
            across = max_pool2d(sign * result, (1, 3), stride=1, padding=(0, 1))
            if tapered_corners:
                down = max_pool2d(sign * result, (3, 1), stride=1, padding=(1, 0))
                result = sign * torch.maximum(across, down)
            else:
                result = sign * max_pool2d(across, (3, 1), stride=1, padding=(1, 0))
        return (result.squeeze(1),)


NODE_CLASS_MAPPINGS = {
    "MaskToImage": MaskToImage,
    "ImageToMask": ImageToMask,
    "SolidMask": SolidMask,
    "InvertMask": InvertMask,
    "CropMask": CropMask,
    "MaskComposite": MaskComposite,
    "FeatherMask": FeatherMask,
    "GrowMask": GrowMask,
}
NODE_DISPLAY_NAME_MAPPINGS = {"MaskToImage": "Convert Mask to Image", "ImageToMask": "Convert Image to Mask"}
