"""SVD checkpoints to MODEL, CLIP_VISION and VAE objects, from single files as they are published."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path

from accelerate import init_empty_weights
from torch import nn

from . import memory, video_shape
from .autoencoder import VAE
from .errors import UnknownFamily
from .families import UNET, Family, below
from .families import VAE as VAE_PREFIX
from .filling import filled, renamed_tensors
from .networks import new_video_unet
from .noise import ContinuousNoise
from .patched import Patched
from .single_file import Header, read_header
from .unet_shape import UNetShape, read_unet_shape
from .vae_loading import vae_in
from .vae_shape import read_vae_shape
from .video import VideoModel
from .vision import VisionEncoder, vision_in

_log = logging.getLogger(__name__)

VISION = "conditioner.embedders.0.open_clip.model.visual."


@dataclass(frozen=True)
class LoadedVideo:
    """The three objects of one video checkpoint."""

    model: VideoModel
    vision: VisionEncoder
    vae: VAE


def load_video_checkpoint(path: Path) -> LoadedVideo:
    """MODEL, CLIP_VISION and VAE of the single file `path`. Raises WeightsError, torch.OutOfMemoryError."""
    return memory.loaded(path, "video", lambda: _load(path))


def _load(path: Path) -> LoadedVideo:
    header = read_header(path)
    if UNET + video_shape.MARK not in header.shapes:
        raise UnknownFamily(path, "it is no video model; load it with CheckpointLoaderSimple")
    try:
        shape = _checked(read_unet_shape(below(header.shapes, UNET)))
        vae_shape = read_vae_shape(below(header.shapes, VAE_PREFIX))
    except ValueError as error:
        raise UnknownFamily(path, str(error)) from error
    _log.info("%s is %s", path.name, Family.SVD.value)
    return LoadedVideo(
        model=VideoModel(Family.SVD, shape, Patched(_unet(header, shape)), ContinuousNoise()),
        vision=vision_in(header, VISION),
        vae=vae_in(header, VAE_PREFIX, vae_shape),
    )


def _checked(shape: UNetShape) -> UNetShape:
    if shape.in_channels != 2 * shape.out_channels:
        raise ValueError(f"its UNet takes {shape.in_channels} channels, not a latent and a picture's")
    if shape.added_width is None or shape.added_width % 3:
        raise ValueError("its UNet does not take rate, motion and noise")
    return shape


def _unet(header: Header, shape: UNetShape) -> nn.Module:
    with init_empty_weights(include_buffers=False):
        unet = new_video_unet(video_shape.diffusers(shape))
    tensors = renamed_tensors(header, UNET, video_shape.prefixes(shape))
    return filled(unet, tensors, memory.weights_dtype(), header.path, "UNet")
