"""Nodes on LATENT: `{"samples": [B, 4, H/8, W/8], "noise_mask"?: [B, 1, H, W]}`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .inputs import Input, Inputs, batch_size, factor, side
from .resizing import CROPS, LATENT_METHODS, resized, sides

if TYPE_CHECKING:
    from torch import Tensor

    from ..models.autoencoder import VAE

Latent = dict[str, Any]
# Every family of this engine has latents of 4 channels at an eighth of the picture's side.
CHANNELS, REDUCTION = 4, 8


class EmptyLatentImage:
    """Latents of zeros to begin from noise."""

    RETURN_TYPES = ("LATENT",)
    FUNCTION = "generate"
    CATEGORY = "latent"

    @classmethod
    def INPUT_TYPES(cls) -> Inputs:
        return {"required": {"width": side(), "height": side(), "batch_size": batch_size()}}

    def generate(self, width: int, height: int, batch_size: int = 1) -> tuple[Latent]:
        """Sides in pixels."""
        import torch

        return ({"samples": torch.zeros([batch_size, CHANNELS, height // REDUCTION, width // REDUCTION])},)


class VAEEncode:
    """Pictures as latents."""

    RETURN_TYPES = ("LATENT",)
    FUNCTION = "encode"
    CATEGORY = "latent"

    @classmethod
    def INPUT_TYPES(cls) -> Inputs:
        return {"required": {"pixels": ("IMAGE",), "vae": ("VAE",)}}

    def encode(self, vae: VAE, pixels: Tensor) -> tuple[Latent]:
        """Sides that are no multiple of 8 are cropped, in the middle. Raises LatentUnusable, out of
        memory."""
        return ({"samples": vae.encode(pixels)},)


class VAEDecode:
    """Latents as pictures."""

    RETURN_TYPES = ("IMAGE",)
    FUNCTION = "decode"
    CATEGORY = "latent"

    @classmethod
    def INPUT_TYPES(cls) -> Inputs:
        return {"required": {"samples": ("LATENT",), "vae": ("VAE",)}}

    def decode(self, vae: VAE, samples: Latent) -> tuple[Tensor]:
        """Pictures [B, H, W, 3]. Raises LatentUnusable, torch.OutOfMemoryError."""
        return (vae.decode(samples["samples"]),)


class VAEEncodeTiled:
    """Large pictures as latents, square by square."""

    RETURN_TYPES = ("LATENT",)
    FUNCTION = "encode"
    CATEGORY = "_for_testing"

    @classmethod
    def INPUT_TYPES(cls) -> Inputs:
        return {"required": {"pixels": ("IMAGE",), "vae": ("VAE",), **_tiles(step=64)}}

    def encode(
        self,
        vae: VAE,
        pixels: Tensor,
        tile_size: int,
        overlap: int,
        temporal_size: int = 64,
        temporal_overlap: int = 8,
    ) -> tuple[Latent]:
        """Sizes in pixels; the temporal ones are for families that this engine does not run."""
        return ({"samples": vae.encode_tiled(pixels, tile_size, overlap)},)


class VAEDecodeTiled:
    """Large latents as pictures [B, H, W, 3], square by square."""

    RETURN_TYPES = ("IMAGE",)
    FUNCTION = "decode"
    CATEGORY = "_for_testing"

    @classmethod
    def INPUT_TYPES(cls) -> Inputs:
        return {"required": {"samples": ("LATENT",), "vae": ("VAE",), **_tiles(step=32)}}

    def decode(
        self,
        vae: VAE,
        samples: Latent,
        tile_size: int,
        overlap: int = 64,
        temporal_size: int = 64,
        temporal_overlap: int = 8,
    ) -> tuple[Tensor]:
        """Sizes in pixels; the temporal ones are for families that this engine does not run."""
        return (vae.decode_tiled(samples["samples"], tile_size, overlap),)


def _tiles(step: int) -> dict[str, Input | str]:
    return {
        "tile_size": ("INT", {"default": 512, "min": 64, "max": 4096, "step": step}),
        "overlap": ("INT", {"default": 64, "min": 0, "max": 4096, "step": 32}),
        "temporal_size": ("INT", {"default": 64, "min": 8, "max": 4096, "step": 4}),
        "temporal_overlap": ("INT", {"default": 8, "min": 4, "max": 4096, "step": 4}),
    }


class VAEEncodeForInpaint:
    """Pictures as latents, grey where the mask is, to be painted anew there."""

    RETURN_TYPES = ("LATENT",)
    FUNCTION = "encode"
    CATEGORY = "latent/inpaint"

    @classmethod
    def INPUT_TYPES(cls) -> Inputs:
        grow = ("INT", {"default": 6, "min": 0, "max": 64, "step": 1})
        return {"required": {"pixels": ("IMAGE",), "vae": ("VAE",), "mask": ("MASK",), "grow_mask_by": grow}}

    def encode(self, vae: VAE, pixels: Tensor, mask: Tensor, grow_mask_by: int = 6) -> tuple[Latent]:
        """`grow_mask_by` in pixels widens what is painted, so that no seam stays."""
        from torch.nn.functional import interpolate

        height, width = (length // REDUCTION * REDUCTION for length in pixels.shape[1:3])
        top, left = (pixels.shape[1] - height) // 2, (pixels.shape[2] - width) // 2
        planes = interpolate(_planes(mask), size=pixels.shape[1:3], mode="bilinear")
        planes = planes[:, :, top : top + height, left : left + width]
        pixels = pixels[:, top : top + height, left : left + width, :3]
        kept = (1 - planes.round()).movedim(1, -1)
        grey = (pixels - 0.5) * kept + 0.5
        return ({"samples": vae.encode(grey), "noise_mask": _grown(planes, grow_mask_by).round()},)


def _planes(mask: Tensor) -> Tensor:
    """A mask [B, H, W] or [H, W] as [B, 1, H, W]."""
    return mask.reshape(-1, 1, mask.shape[-2], mask.shape[-1])


def _grown(planes: Tensor, pixels: int) -> Tensor:
    from torch.nn.functional import max_pool2d

    if pixels == 0:
        return planes
    around = 2 * (pixels // 2) + 1
    return max_pool2d(planes.round(), around, stride=1, padding=around // 2)


class SetLatentNoiseMask:
    """Restricts later sampling to where the mask is 1."""

    RETURN_TYPES = ("LATENT",)
    FUNCTION = "set_mask"
    CATEGORY = "latent/inpaint"

    @classmethod
    def INPUT_TYPES(cls) -> Inputs:
        return {"required": {"samples": ("LATENT",), "mask": ("MASK",)}}

    def set_mask(self, samples: Latent, mask: Tensor) -> tuple[Latent]:
        """A copy of the latent that shares its tensor."""
        return ({**samples, "noise_mask": _planes(mask)},)


class LatentUpscale:
    """Latents at another size, in pixels of the picture."""

    RETURN_TYPES = ("LATENT",)
    FUNCTION = "upscale"
    CATEGORY = "latent"

    @classmethod
    def INPUT_TYPES(cls) -> Inputs:
        return {
            "required": {
                "samples": ("LATENT",),
                "upscale_method": (LATENT_METHODS,),
                "width": side(low=0),
                "height": side(low=0),
                "crop": (CROPS,),
            }
        }

    def upscale(
        self, samples: Latent, upscale_method: str, width: int, height: int, crop: str
    ) -> tuple[Latent]:
        """A side of 0 follows from the other; two zeros change nothing."""
        if width == 0 and height == 0:
            return (samples,)
        old = samples["samples"]
        wide, high = sides(width, height, old.shape[-1] * REDUCTION, old.shape[-2] * REDUCTION)
        # ComfyUI keeps at least 64 pixels a side here.
        wide, high = max(64, wide) // REDUCTION, max(64, high) // REDUCTION
        return ({**samples, "samples": resized(old, wide, high, upscale_method, crop)},)


class LatentUpscaleBy:
    """Latents `scale_by` times as large."""

    RETURN_TYPES = ("LATENT",)
    FUNCTION = "upscale"
    CATEGORY = "latent"

    @classmethod
    def INPUT_TYPES(cls) -> Inputs:
        return {
            "required": {
                "samples": ("LATENT",),
                "upscale_method": (LATENT_METHODS,),
                "scale_by": factor(1.5),
            }
        }

    def upscale(self, samples: Latent, upscale_method: str, scale_by: float) -> tuple[Latent]:
        """A copy; its mask, if any, is fitted when it is sampled."""
        old = samples["samples"]
        wide, high = (max(1, round(length * scale_by)) for length in (old.shape[-1], old.shape[-2]))
        return ({**samples, "samples": resized(old, wide, high, upscale_method)},)


NODE_CLASS_MAPPINGS = {
    "EmptyLatentImage": EmptyLatentImage,
    "VAEEncode": VAEEncode,
    "VAEDecode": VAEDecode,
    "VAEEncodeTiled": VAEEncodeTiled,
    "VAEDecodeTiled": VAEDecodeTiled,
    "VAEEncodeForInpaint": VAEEncodeForInpaint,
    "SetLatentNoiseMask": SetLatentNoiseMask,
    "LatentUpscale": LatentUpscale,
    "LatentUpscaleBy": LatentUpscaleBy,
}
NODE_DISPLAY_NAME_MAPPINGS = {
    "EmptyLatentImage": "Empty Latent Image",
    "VAEEncode": "VAE Encode",
    "VAEDecode": "VAE Decode",
    "VAEEncodeTiled": "VAE Encode (Tiled)",
    "VAEDecodeTiled": "VAE Decode (Tiled)",
    "VAEEncodeForInpaint": "VAE Encode (for Inpainting)",
    "SetLatentNoiseMask": "Set Latent Noise Mask",
    "LatentUpscale": "Upscale Latent",
    "LatentUpscaleBy": "Upscale Latent By",
}
