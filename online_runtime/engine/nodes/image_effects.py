"""Nodes that cut, blur, blend and combine IMAGE, float32 [B, H, W, C] in 0..1."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .errors import ImagesUnlike
from .inputs import MAX_RESOLUTION, Input, Inputs, side
from .masks import planes
from .resizing import resized

if TYPE_CHECKING:
    from torch import Tensor

_MODES = ["normal", "multiply", "screen", "overlay", "soft_light", "difference"]


def _place() -> Input:
    return "INT", {"default": 0, "min": 0, "max": MAX_RESOLUTION, "step": 1}


class ImageCrop:
    """A part of pictures."""

    RETURN_TYPES = ("IMAGE",)
    FUNCTION = "crop"
    CATEGORY = "image/transform"

    @classmethod
    def INPUT_TYPES(cls) -> Inputs:
        size = side(low=1, step=1)
        return {
            "required": {"image": ("IMAGE",), "width": size, "height": size, "x": _place(), "y": _place()}
        }

    def crop(self, image: Tensor, width: int, height: int, x: int, y: int) -> tuple[Tensor]:
        """From pixel `x`, `y`, which is moved inside; what lies outside is not there."""
        x, y = min(x, image.shape[2] - 1), min(y, image.shape[1] - 1)
        return (image[:, y : y + height, x : x + width],)


class ImagePadForOutpaint:
    """Pictures with grey around them, and the mask of what is to be painted."""

    RETURN_TYPES = ("IMAGE", "MASK")
    FUNCTION = "expand_image"
    CATEGORY = "image"

    @classmethod
    def INPUT_TYPES(cls) -> Inputs:
        edge = ("INT", {"default": 0, "min": 0, "max": MAX_RESOLUTION, "step": 8})
        edges = dict.fromkeys(("left", "top", "right", "bottom"), edge)
        feathering = ("INT", {"default": 40, "min": 0, "max": MAX_RESOLUTION, "step": 1})
        return {"required": {"image": ("IMAGE",), **edges, "feathering": feathering}}

    def expand_image(
        self, image: Tensor, left: int, top: int, right: int, bottom: int, feathering: int
    ) -> tuple[Tensor, Tensor]:
        """`feathering` in pixels: the mask [1, H, W] fades so far into the picture, from edges that grew."""
        import torch

        count, height, width, channels = image.shape
        padded = torch.full((count, height + top + bottom, width + left + right, channels), 0.5)
        padded[:, top : top + height, left : left + width] = image
        mask = torch.ones(padded.shape[1:3])
        mask[top : top + height, left : left + width] = _fade(
            height, width, (left, top, right, bottom), feathering
        )
        return padded, mask.unsqueeze(0)


def _fade(height: int, width: int, grown: tuple[int, int, int, int], feathering: int) -> Tensor:
    """0 inside, rising with the square towards each edge that grew."""
    import torch

    if not 0 < 2 * feathering < min(height, width):
        return torch.zeros(height, width)
    left, top, right, bottom = grown
    rows, columns = torch.arange(height).float(), torch.arange(width).float()
    far = torch.tensor(float("inf"))
    across = torch.minimum(columns if left else far, (width - columns) if right else far)
    down = torch.minimum(rows if top else far, (height - rows) if bottom else far)
    distance = torch.minimum(across.expand(width).reshape(1, -1), down.expand(height).reshape(-1, 1))
    return ((feathering - distance) / feathering).clamp(min=0) ** 2


class ImageBlend:
    """Two pictures in one; `blend_factor` of the second."""

    RETURN_TYPES = ("IMAGE",)
    FUNCTION = "blend_images"
    CATEGORY = "image/postprocessing"

    @classmethod
    def INPUT_TYPES(cls) -> Inputs:
        return {
            "required": {
                "image1": ("IMAGE",),
                "image2": ("IMAGE",),
                "blend_factor": ("FLOAT", {"default": 0.5, "min": 0.0, "max": 1.0, "step": 0.01}),
                "blend_mode": (list(_MODES),),
            }
        }

    def blend_images(
        self, image1: Tensor, image2: Tensor, blend_factor: float, blend_mode: str
    ) -> tuple[Tensor]:
        """The second takes the first one's size. Raises ImagesUnlike for different channels."""
        if image1.shape[-1] != image2.shape[-1]:
            raise ImagesUnlike(f"one has {image1.shape[-1]} channels, the other {image2.shape[-1]}")
        if image1.shape[1:3] != image2.shape[1:3]:
            height, width = image1.shape[1:3]
            image2 = resized(image2.movedim(-1, 1), width, height, "bicubic", "center").movedim(1, -1)
        blended = _blended(image1, image2, blend_mode)
        return ((image1 * (1 - blend_factor) + blended * blend_factor).clamp(0, 1),)


def _blended(under: Tensor, upper: Tensor, mode: str) -> Tensor:
    import torch

    if mode == "multiply":
        return under * upper
    if mode == "screen":
        return 1 - (1 - under) * (1 - upper)
    if mode == "overlay":
        return torch.where(under <= 0.5, 2 * under * upper, 1 - 2 * (1 - under) * (1 - upper))
    if mode == "difference":
        return under - upper
    if mode == "soft_light":
        # The W3C's compositing formula.
        light = torch.where(under <= 0.25, ((16 * under - 12) * under + 4) * under, under.sqrt())
        dark = under - (1 - 2 * upper) * under * (1 - under)
        return torch.where(upper <= 0.5, dark, under + (2 * upper - 1) * (light - under))
    return upper


class ImageBlur:
    """Pictures made softer, by a bell curve."""

    RETURN_TYPES = ("IMAGE",)
    FUNCTION = "blur"
    CATEGORY = "image/postprocessing"

    @classmethod
    def INPUT_TYPES(cls) -> Inputs:
        return {
            "required": {
                "image": ("IMAGE",),
                "blur_radius": ("INT", {"default": 1, "min": 1, "max": 31, "step": 1}),
                "sigma": ("FLOAT", {"default": 1.0, "min": 0.1, "max": 10.0, "step": 0.1}),
            }
        }

    def blur(self, image: Tensor, blur_radius: int, sigma: float) -> tuple[Tensor]:
        """`blur_radius` in pixels; `sigma`, the curve's width, in radii, as in ComfyUI."""
        return (_smoothed(image, blur_radius, sigma),)


class ImageSharpen:
    """Pictures made crisper: what a blur takes away is added `alpha` times."""

    RETURN_TYPES = ("IMAGE",)
    FUNCTION = "sharpen"
    CATEGORY = "image/postprocessing"

    @classmethod
    def INPUT_TYPES(cls) -> Inputs:
        return {
            "required": {
                "image": ("IMAGE",),
                "sharpen_radius": ("INT", {"default": 1, "min": 1, "max": 31, "step": 1}),
                "sigma": ("FLOAT", {"default": 1.0, "min": 0.1, "max": 10.0, "step": 0.01}),
                "alpha": ("FLOAT", {"default": 1.0, "min": 0.0, "max": 5.0, "step": 0.01}),
            }
        }

    def sharpen(self, image: Tensor, sharpen_radius: int, sigma: float, alpha: float) -> tuple[Tensor]:
        """Values stay in 0..1."""
        smooth = _smoothed(image, sharpen_radius, sigma)
        return ((image + (image - smooth) * alpha * 10).clamp(0, 1),)


def _smoothed(image: Tensor, radius: int, sigma: float) -> Tensor:
    import torch
    from torch.nn.functional import conv2d, pad

    places = torch.linspace(-1, 1, 2 * radius + 1)
    curve = torch.exp(-(places**2) / (2 * sigma**2))
    curve = curve / curve.sum()
    channels = image.shape[-1]
    values = image.movedim(-1, 1)
    # Mirrored edges, as far as the picture goes; then its last pixels.
    fits = radius < min(values.shape[2:])
    values = pad(values, (radius,) * 4, "reflect" if fits else "replicate")
    for shape in ((channels, 1, 1, -1), (channels, 1, -1, 1)):
        kernel = curve.reshape(1, 1, *shape[2:]).expand(channels, 1, -1, -1).contiguous()
        values = conv2d(values, kernel, groups=channels)
    return values.movedim(1, -1)


class ImageCompositeMasked:
    """The pictures `source` laid on `destination` at pixel `x`, `y`, where the mask is 1."""

    RETURN_TYPES = ("IMAGE",)
    FUNCTION = "composite"
    CATEGORY = "image"

    @classmethod
    def INPUT_TYPES(cls) -> Inputs:
        return {
            "required": {
                "destination": ("IMAGE",),
                "source": ("IMAGE",),
                "x": _place(),
                "y": _place(),
                "resize_source": ("BOOLEAN", {"default": False}),
            },
            "optional": {"mask": ("MASK",)},
        }

    def composite(
        self,
        destination: Tensor,
        source: Tensor,
        x: int,
        y: int,
        resize_source: bool,
        mask: Tensor | None = None,
    ) -> tuple[Tensor]:
        """Without a mask all of `source`; what lies outside of `destination` is left out."""
        under, upper = destination.movedim(-1, 1), source[..., : destination.shape[-1]].movedim(-1, 1)
        return (laid_on(under, upper, x, y, resize_source, mask).movedim(1, -1),)


def laid_on(under: Tensor, upper: Tensor, x: int, y: int, resize: bool, mask: Tensor | None) -> Tensor:
    """`upper` [B, C, h, w] on `under` [B, C, H, W] where `mask` [B, H, W] is 1 (fitted to `upper`)."""
    import torch
    from torch.nn.functional import interpolate

    if resize:
        upper = interpolate(upper, size=under.shape[2:], mode="bilinear")
    weight = torch.ones_like(upper[:, :1])
    if mask is not None:
        weight = interpolate(planes(mask).unsqueeze(1).float(), size=upper.shape[2:], mode="bilinear")
    result = under.clone()
    target = result[:, :, y : y + upper.shape[2], x : x + upper.shape[3]]
    part = upper[:, :, : target.shape[2], : target.shape[3]]
    weight = weight[:, :, : target.shape[2], : target.shape[3]]
    part, weight = _as_many(part, len(target)), _as_many(weight, len(target))
    target.copy_(part * weight + target * (1 - weight))
    return result


def _as_many(tensor: Tensor, count: int) -> Tensor:
    repeats = -(-count // len(tensor))
    return tensor.repeat(repeats, 1, 1, 1)[:count]


NODE_CLASS_MAPPINGS = {
    "ImageCrop": ImageCrop,
    "ImagePadForOutpaint": ImagePadForOutpaint,
    "ImageBlend": ImageBlend,
    "ImageBlur": ImageBlur,
    "ImageSharpen": ImageSharpen,
    "ImageCompositeMasked": ImageCompositeMasked,
}
NODE_DISPLAY_NAME_MAPPINGS = {
    "ImageCrop": "Image Crop",
    "ImagePadForOutpaint": "Pad Image for Outpainting",
    "ImageBlend": "Image Blend",
    "ImageBlur": "Image Blur",
    "ImageSharpen": "Image Sharpen",
}
