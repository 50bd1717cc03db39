"""VAEs from files: part of a checkpoint or alone, in the layout of checkpoints or of diffusers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import torch
from accelerate import init_empty_weights
from torch import Tensor

from . import memory
from .autoencoder import VAE
from .errors import UnknownFamily
from .families import VAE as VAE_PREFIX
from .families import below
from .filling import filled, renamed_tensors, tensors_below
from .networks import new_vae
from .single_file import Header, Shape, read_header
from .vae_shape import (
    VAEShape,
    is_diffusers_vae,
    present_name,
    read_diffusers_vae_shape,
    read_vae_shape,
)


def load_vae(path: Path) -> VAE:
    """The VAE in `path`: a file of its own, or the one in a checkpoint. Raises WeightsError."""
    return memory.loaded(path, "vae", lambda: _load_vae(path))


def vae_in(header: Header, prefix: str, shape: VAEShape) -> VAE:
    """The VAE whose tensors start with `prefix`, in the layout of checkpoints. Raises WeightsError."""
    return _vae(header, shape, renamed_tensors(header, prefix, shape.prefixes()))


def _load_vae(path: Path) -> VAE:
    header = read_header(path)
    if is_diffusers_vae(header.shapes):
        shape = _shape(path, read_diffusers_vae_shape, header.shapes)
        tensors = {present_name(name): tensor for name, tensor in tensors_below(header, "").items()}
        return _vae(header, shape, tensors)
    prefix = VAE_PREFIX if header.has(VAE_PREFIX) else ""
    return vae_in(header, prefix, _shape(path, read_vae_shape, below(header.shapes, prefix)))


def _shape(
    path: Path, read: Callable[[Mapping[str, Shape]], VAEShape], shapes: Mapping[str, Shape]
) -> VAEShape:
    try:
        return read(shapes)
    except ValueError as error:
        raise UnknownFamily(path, str(error)) from error


def _vae(header: Header, shape: VAEShape, tensors: Mapping[str, Tensor]) -> VAE:
    with init_empty_weights(include_buffers=False):
        network = new_vae(shape.diffusers(), shape.temporal)
    whole = _identities(shape) | dict(tensors)
    network = filled(network, whole, memory.vae_dtype(), header.path, "VAE")
    return VAE(
        network=network,
        channels=shape.latent_channels,
        reduction=2 ** (len(shape.channels) - 1),
        temporal=shape.temporal,
    )


def _identities(shape: VAEShape) -> dict[str, Tensor]:
    """What SVD's files leave out, because it changes nothing there: convolutions around the latent."""
    found: dict[str, Tensor] = {}
    sides = {"quant_conv": 2 * shape.latent_channels}
    if not shape.temporal:
        sides["post_quant_conv"] = shape.latent_channels
    for name, channels in sides.items():
        found[f"{name}.weight"] = torch.eye(channels)[:, :, None, None].contiguous()
        found[f"{name}.bias"] = torch.zeros(channels)
    return found
