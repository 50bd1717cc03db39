"""Single files to MODEL, CLIP and VAE objects, without any hub. Each file is read once while it does not
change."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from accelerate import init_empty_weights
from torch import Tensor, nn

from . import memory
from .autoencoder import VAE
from .diffusion import DiffusionModel
from .errors import UnknownFamily, WeightsIncomplete
from .families import UNET, Checkpoint, Family, TextPart, below, recognise
from .families import VAE as VAE_PREFIX
from .networks import new_text_encoder, new_unet, new_vae
from .noise import Prediction, TrainedNoise
from .patched import Patched
from .renaming import renamed
from .single_file import Header, read_header, read_tensors
from .text import TextEncoder, TextEncoders
from .tokens import tokenizer_of_size
from .vae_shape import VAEShape, read_vae_shape

if TYPE_CHECKING:
    from .text_shape import TextShape

_log = logging.getLogger(__name__)

# Kept in checkpoints for training, never used for pictures.
_IGNORED = frozenset({"position_ids", "embeddings.position_ids", "logit_scale"})
# Published SD2.x weights do not say what they predict, but the spread of this tensor parts them: 0.09 lies
# between.
_SD2_MARK = f"{UNET}output_blocks.11.1.transformer_blocks.0.norm1.bias"
_SD2_VELOCITY_SPREAD = 0.09


@dataclass(frozen=True)
class Loaded:
    """The three objects of one checkpoint."""

    model: DiffusionModel
    clip: TextEncoders
    vae: VAE


def load_checkpoint(path: Path, vocabularies: Sequence[Path]) -> Loaded:
    """MODEL, CLIP and VAE of the single file `path`; tokenizer vocabularies are looked for in `vocabularies`.

    Raises WeightsError, VocabularyMissing, torch.OutOfMemoryError.
    """
    return memory.loaded(path, "checkpoint", lambda: _load_checkpoint(path, vocabularies))


def load_vae(path: Path) -> VAE:
    """The VAE in `path`: a file of its own, or the one in a checkpoint. Raises WeightsError."""
    return memory.loaded(path, "vae", lambda: _load_vae(path))


def _load_checkpoint(path: Path, vocabularies: Sequence[Path]) -> Loaded:
    checkpoint = recognise(read_header(path))
    _log.info("%s is %s", path.name, checkpoint.family.value)
    texts = tuple(_text_encoder(checkpoint, at, vocabularies) for at in range(len(checkpoint.texts)))
    return Loaded(
        model=DiffusionModel(
            checkpoint.family, checkpoint.unet, Patched(_unet(checkpoint)), _noise(checkpoint)
        ),
        clip=TextEncoders(checkpoint.family, texts),
        vae=_vae(checkpoint.header, VAE_PREFIX, checkpoint.vae),
    )


def _unet(checkpoint: Checkpoint) -> nn.Module:
    prefixes = checkpoint.unet.prefixes()
    tensors = _renamed(checkpoint.header, UNET, prefixes)
    config = checkpoint.unet.diffusers(checkpoint.pooled_width)
    with init_empty_weights(include_buffers=False):
        unet = new_unet(config)
    return _filled(unet, tensors, memory.weights_dtype(), checkpoint.header.path, "UNet")


def _noise(checkpoint: Checkpoint) -> TrainedNoise:
    velocity = checkpoint.v_prediction
    if velocity is None:
        velocity = False
        if _SD2_MARK in checkpoint.header.shapes:
            mark = read_tensors(checkpoint.header.path, [_SD2_MARK])[_SD2_MARK]
            velocity = float(mark.float().std()) > _SD2_VELOCITY_SPREAD
    prediction = Prediction.VELOCITY if velocity else Prediction.NOISE
    return TrainedNoise(prediction, zero_snr=checkpoint.zero_snr)


def _text_encoder(checkpoint: Checkpoint, at: int, vocabularies: Sequence[Path]) -> TextEncoder:
    part: TextPart = checkpoint.texts[at]
    path, shape = checkpoint.header.path, part.shape
    tokenizer = tokenizer_of_size(shape.vocabulary, vocabularies)
    tensors = _below(checkpoint.header, part.prefix)
    projection = _projection(tensors, shape)
    network = _filled(
        _empty_text_encoder(shape),
        shape.named_for_transformers(tensors),
        memory.weights_dtype(),
        path,
        "text encoder",
    )
    # The padding that each was trained with: OpenCLIP's token 0, CLIP's end.
    pad = 0 if shape.openclip else tokenizer.end
    return TextEncoder(Patched(network), tokenizer, projection, pad)


def _empty_text_encoder(shape: TextShape) -> nn.Module:
    with init_empty_weights(include_buffers=False):
        return new_text_encoder(shape.transformers())


def _projection(tensors: dict[str, Tensor], shape: TextShape) -> Tensor | None:
    if (matrix := tensors.pop("text_projection", None)) is not None:
        return matrix.float().T.contiguous()
    matrix = tensors.pop("text_projection.weight", None)
    return None if matrix is None else matrix.float()


def _load_vae(path: Path) -> VAE:
    header = read_header(path)
    prefix = VAE_PREFIX if header.has(VAE_PREFIX) else ""
    try:
        return _vae(header, prefix, read_vae_shape(below(header.shapes, prefix)))
    except ValueError as error:
        raise UnknownFamily(path, str(error)) from error


def _vae(header: Header, prefix: str, shape: VAEShape) -> VAE:
    with init_empty_weights(include_buffers=False):
        network = new_vae(shape.diffusers())
    tensors = _renamed(header, prefix, shape.prefixes())
    filled = _filled(network, tensors, memory.vae_dtype(), header.path, "VAE")
    return VAE(network=filled, channels=shape.latent_channels, reduction=2 ** (len(shape.channels) - 1))


def _below(header: Header, prefix: str) -> dict[str, Tensor]:
    names = [name for name in header.shapes if name.startswith(prefix)]
    return {name[len(prefix) :]: tensor for name, tensor in read_tensors(header.path, names).items()}


def _renamed(header: Header, prefix: str, prefixes: Mapping[str, str]) -> dict[str, Tensor]:
    tensors: dict[str, Tensor] = {}
    for name, tensor in _below(header, prefix).items():
        if (new := renamed(name, prefixes)) is not None:
            tensors[new] = tensor
        elif not prefix.startswith(VAE_PREFIX) or not name.startswith("loss."):
            _log.warning(
                "%s: the tensor %s%s is of no known use and left out", header.path.name, prefix, name
            )
    return tensors


def _filled(
    empty: nn.Module, tensors: Mapping[str, Tensor], dtype: torch.dtype, path: Path, part: str
) -> nn.Module:
    """`empty` with its weights from `tensors`, ready for use. Raises WeightsIncomplete."""
    fitting: dict[str, Any] = {}
    bad: list[str] = []
    for name, wanted in empty.state_dict().items():
        tensor = tensors.get(name)
        # Attention is written as 1x1 convolutions in one layout and as matrices in the other: the same
        # numbers.
        if tensor is None or _without_ones(tensor.shape) != _without_ones(wanted.shape):
            bad.append(name)
        else:
            fitting[name] = tensor.reshape(wanted.shape).to(dtype)
    if bad:
        raise WeightsIncomplete(path, part, bad)
    if extra := [name for name in tensors if name not in fitting and name not in _IGNORED]:
        _log.warning("%s: %d tensors of the %s are left out, as %s", path.name, len(extra), part, extra[0])
    empty.load_state_dict(fitting, assign=True)
    return empty.eval().requires_grad_(False)


def _without_ones(shape: torch.Size) -> list[int]:
    return [side for side in shape if side != 1]


__all__ = ["Family", "Loaded", "load_checkpoint", "load_vae"]
