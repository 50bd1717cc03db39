"""Nodes on IMAGE, float32 [B, H, W, C] in 0..1."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .errors import ImagesUnlike
from .inputs import Inputs, batch_size, factor, side
from .resizing import CROPS, IMAGE_METHODS, resized, sides

if TYPE_CHECKING:
    from torch import Tensor


class EmptyImage:
    """Pictures of one colour."""

    RETURN_TYPES = ("IMAGE",)
    FUNCTION = "generate"
    CATEGORY = "image"

    @classmethod
    def INPUT_TYPES(cls) -> Inputs:
        colour = ("INT", {"default": 0, "min": 0, "max": 0xFFFFFF, "step": 1, "display": "color"})
        return {
            "required": {
                "width": side(low=1, step=1),
                "height": side(low=1, step=1),
                "batch_size": batch_size(),
                "color": colour,
            }
        }

    def generate(self, width: int, height: int, batch_size: int = 1, color: int = 0) -> tuple[Tensor]:
        """`color` is 0xRRGGBB."""
        import torch

        rgb = torch.tensor([(color >> shift & 0xFF) / 255 for shift in (16, 8, 0)], dtype=torch.float32)
        return (rgb.expand(batch_size, height, width, 3).clone(),)


class ImageScale:
    """Pictures at another size."""

    RETURN_TYPES = ("IMAGE",)
    FUNCTION = "upscale"
    CATEGORY = "image/upscaling"
    upscale_methods = IMAGE_METHODS  # packs offer the same choices by these names
    crop_methods = CROPS

    @classmethod
    def INPUT_TYPES(cls) -> Inputs:
        return {
            "required": {
                "image": ("IMAGE",),
                "upscale_method": (IMAGE_METHODS,),
                "width": side(low=0, step=1),
                "height": side(low=0, step=1),
                "crop": (CROPS,),
            }
        }

    def upscale(
        self, image: Tensor, upscale_method: str, width: int, height: int, crop: str
    ) -> tuple[Tensor]:
        """A side of 0 follows from the other; two zeros change nothing."""
        if width == 0 and height == 0:
            return (image,)
        wide, high = sides(width, height, image.shape[2], image.shape[1])
        return (resized(image.movedim(-1, 1), wide, high, upscale_method, crop).movedim(1, -1),)


class ImageScaleBy:
    """Pictures `scale_by` times as large."""

    RETURN_TYPES = ("IMAGE",)
    FUNCTION = "upscale"
    CATEGORY = "image/upscaling"

    @classmethod
    def INPUT_TYPES(cls) -> Inputs:
        return {
            "required": {"image": ("IMAGE",), "upscale_method": (IMAGE_METHODS,), "scale_by": factor(1.0)}
        }

    def upscale(self, image: Tensor, upscale_method: str, scale_by: float) -> tuple[Tensor]:
        """Sides are rounded to whole pixels, at least one."""
        wide, high = (max(1, round(length * scale_by)) for length in (image.shape[2], image.shape[1]))
        return (resized(image.movedim(-1, 1), wide, high, upscale_method).movedim(1, -1),)


class ImageInvert:
    """The negative of pictures."""

    RETURN_TYPES = ("IMAGE",)
    FUNCTION = "invert"
    CATEGORY = "image"

    @classmethod
    def INPUT_TYPES(cls) -> Inputs:
        return {"required": {"image": ("IMAGE",)}}

    def invert(self, image: Tensor) -> tuple[Tensor]:
        """1 minus each value."""
        return (1.0 - image,)


class ImageBatch:
    """Two batches as one; the second takes the first one's size."""

    RETURN_TYPES = ("IMAGE",)
    FUNCTION = "batch"
    CATEGORY = "image"

    @classmethod
    def INPUT_TYPES(cls) -> Inputs:
        return {"required": {"image1": ("IMAGE",), "image2": ("IMAGE",)}}

    def batch(self, image1: Tensor, image2: Tensor) -> tuple[Tensor]:
        """Raises ImagesUnlike when they have different channels that an opaque alpha cannot make equal."""
        import torch

        image1, image2 = _with_alpha(image1, image2), _with_alpha(image2, image1)
        if image1.shape[-1] != image2.shape[-1]:
            raise ImagesUnlike(f"one has {image1.shape[-1]} channels, the other {image2.shape[-1]}")
        if image1.shape[1:3] != image2.shape[1:3]:
            height, width = image1.shape[1:3]
            image2 = resized(image2.movedim(-1, 1), width, height, "bilinear", "center").movedim(1, -1)
        return (torch.cat((image1, image2)),)


def _with_alpha(image: Tensor, other: Tensor) -> Tensor:
    from torch.nn.functional import pad

    return pad(image, (0, 1), value=1.0) if (image.shape[-1], other.shape[-1]) == (3, 4) else image


NODE_CLASS_MAPPINGS = {
    "EmptyImage": EmptyImage,
    "ImageScale": ImageScale,
    "ImageScaleBy": ImageScaleBy,
    "ImageInvert": ImageInvert,
    "ImageBatch": ImageBatch,
}
NODE_DISPLAY_NAME_MAPPINGS = {
    "EmptyImage": "EmptyImage",
    "ImageScale": "Upscale Image",
    "ImageScaleBy": "Upscale Image By",
    "ImageInvert": "Invert Image",
    "ImageBatch": "Batch Images",
}
