"""Nodes of SVD: a picture to a video."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .. import folders
from .inputs import MAX_RESOLUTION, Input, Inputs
from .resizing import resized

if TYPE_CHECKING:
    from torch import Tensor

    from ..models.autoencoder import VAE
    from ..models.diffusion import DiffusionModel
    from ..models.vision import VisionEncoder

# The noise put on the first picture: always the same, so that equal inputs give equal videos.
_AUGMENTATION_SEED = 0
_REDUCTION = 8


class ImageOnlyCheckpointLoader:
    """MODEL, CLIP_VISION and VAE of a single-file video checkpoint (SVD)."""

    RETURN_TYPES = ("MODEL", "CLIP_VISION", "VAE")
    FUNCTION = "load_checkpoint"
    CATEGORY = "loaders/video_models"

    @classmethod
    def INPUT_TYPES(cls) -> Inputs:
        return {"required": {"ckpt_name": (folders.current().list("checkpoints"),)}}

    def load_checkpoint(
        self, ckpt_name: str, output_vae: bool = True, output_clip: bool = True
    ) -> tuple[DiffusionModel, VisionEncoder, VAE]:
        """Raises ModelMissing, WeightsError, torch.OutOfMemoryError."""
        from ..models.video_loading import load_video_checkpoint

        loaded = load_video_checkpoint(folders.current().path("checkpoints", ckpt_name))
        return loaded.model, loaded.vision, loaded.vae


class SVD_img2vid_Conditioning:  # noqa: N801 - ComfyUI's name
    """What SVD needs for a video that begins with a picture: conditioning for and against it, and a latent
    [frames, 4, H/8, W/8] of zeros."""

    RETURN_TYPES = ("CONDITIONING", "CONDITIONING", "LATENT")
    RETURN_NAMES = ("positive", "negative", "latent")
    FUNCTION = "encode"
    CATEGORY = "conditioning/video_models"

    @classmethod
    def INPUT_TYPES(cls) -> Inputs:
        size = {"min": 16, "max": MAX_RESOLUTION, "step": 8}
        return {
            "required": {
                "clip_vision": ("CLIP_VISION",),
                "init_image": ("IMAGE",),
                "vae": ("VAE",),
                "width": ("INT", {"default": 1024, **size}),
                "height": ("INT", {"default": 576, **size}),
                "video_frames": ("INT", {"default": 14, "min": 1, "max": 4096}),
                "motion_bucket_id": ("INT", {"default": 127, "min": 1, "max": 1023}),
                "fps": ("INT", {"default": 6, "min": 1, "max": 1024}),
                "augmentation_level": ("FLOAT", {"default": 0.0, "min": 0.0, "max": 10.0, "step": 0.01}),
            }
        }

    def encode(
        self,
        clip_vision: VisionEncoder,
        init_image: Tensor,
        vae: VAE,
        width: int,
        height: int,
        video_frames: int,
        motion_bucket_id: int,
        fps: int,
        augmentation_level: float,
    ) -> tuple[Any, Any, dict[str, Any]]:
        """Sides in pixels; `augmentation_level` is the noise on the picture: more of it lets the video move
        away from the picture. Raises torch.OutOfMemoryError."""
        import torch

        seen = clip_vision.encode_image(init_image).image_embeds.unsqueeze(1)
        pixels = resized(init_image[..., :3].movedim(-1, 1), width, height, "bilinear", "center").movedim(
            1, -1
        )
        if augmentation_level > 0:
            generator = torch.Generator().manual_seed(_AUGMENTATION_SEED)
            pixels = pixels + torch.randn(pixels.shape, generator=generator) * augmentation_level
        first = vae.encode(pixels)
        numbers = {"motion_bucket_id": motion_bucket_id, "fps": fps, "augmentation_level": augmentation_level}
        positive = [[seen, {**numbers, "concat_latent_image": first}]]
        nothing = [[torch.zeros_like(seen), {**numbers, "concat_latent_image": torch.zeros_like(first)}]]
        latent = torch.zeros([video_frames, 4, height // _REDUCTION, width // _REDUCTION])
        return positive, nothing, {"samples": latent}


class VideoLinearCFGGuidance:
    """Guidance that grows from frame to frame: `min_cfg` at the first, the sampler's cfg at the last."""

    RETURN_TYPES = ("MODEL",)
    FUNCTION = "patch"
    CATEGORY = "sampling/video_models"

    @classmethod
    def INPUT_TYPES(cls) -> Inputs:
        return {"required": {"model": ("MODEL",), "min_cfg": _least()}}

    def patch(self, model: DiffusionModel, min_cfg: float) -> tuple[DiffusionModel]:
        """Another MODEL that shares the weights."""
        from ..models.guidance_rules import linear

        return (model.with_rule(linear(min_cfg)),)


class VideoTriangleCFGGuidance:
    """Guidance of `min_cfg` at both ends and the sampler's cfg in the middle: for videos that loop."""

    RETURN_TYPES = ("MODEL",)
    FUNCTION = "patch"
    CATEGORY = "sampling/video_models"

    @classmethod
    def INPUT_TYPES(cls) -> Inputs:
        return {"required": {"model": ("MODEL",), "min_cfg": _least()}}

    def patch(self, model: DiffusionModel, min_cfg: float) -> tuple[DiffusionModel]:
        """Another MODEL that shares the weights."""
        from ..models.guidance_rules import triangle

        return (model.with_rule(triangle(min_cfg)),)


def _least() -> Input:
    return "FLOAT", {"default": 1.0, "min": 0.0, "max": 100.0, "step": 0.5, "round": 0.01}


NODE_CLASS_MAPPINGS = {
    "ImageOnlyCheckpointLoader": ImageOnlyCheckpointLoader,
    "SVD_img2vid_Conditioning": SVD_img2vid_Conditioning,
    "VideoLinearCFGGuidance": VideoLinearCFGGuidance,
    "VideoTriangleCFGGuidance": VideoTriangleCFGGuidance,
}
NODE_DISPLAY_NAME_MAPPINGS = {
    "ImageOnlyCheckpointLoader": "Image Only Checkpoint Loader (img2vid model)",
}
