"""Single files to MODEL, CLIP and VAE objects, without any hub. Each file is read once while it does not
change."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from accelerate import init_empty_weights
from torch import Tensor, nn

from . import memory
from .autoencoder import VAE
from .diffusion import DiffusionModel
from .families import UNET, Checkpoint, TextPart, recognise
from .families import VAE as VAE_PREFIX
from .filling import filled, renamed_tensors, tensors_below
from .networks import new_text_encoder, new_unet
from .noise import Prediction, TrainedNoise
from .patched import Patched
from .single_file import read_header, read_tensors
from .text import TextEncoder, TextEncoders
from .tokens import tokenizer_of_size
from .vae_loading import load_vae, vae_in

if TYPE_CHECKING:
    from .text_shape import TextShape

_log = logging.getLogger(__name__)

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


def _load_checkpoint(path: Path, vocabularies: Sequence[Path]) -> Loaded:
    checkpoint = recognise(read_header(path))
    _log.info("%s is %s", path.name, checkpoint.family.value)
    texts = tuple(_text_encoder(checkpoint, at, vocabularies) for at in range(len(checkpoint.texts)))
    return Loaded(
        model=DiffusionModel(
            checkpoint.family, checkpoint.unet, Patched(_unet(checkpoint)), _noise(checkpoint)
        ),
        clip=TextEncoders(checkpoint.family, texts),
        vae=vae_in(checkpoint.header, VAE_PREFIX, checkpoint.vae),
    )


def _unet(checkpoint: Checkpoint) -> nn.Module:
    prefixes = checkpoint.unet.prefixes()
    tensors = renamed_tensors(checkpoint.header, UNET, prefixes)
    config = checkpoint.unet.diffusers(checkpoint.pooled_width)
    with init_empty_weights(include_buffers=False):
        unet = new_unet(config)
    return filled(unet, tensors, memory.weights_dtype(), checkpoint.header.path, "UNet")


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
    tensors = tensors_below(checkpoint.header, part.prefix)
    projection = _projection(tensors, shape)
    network = filled(
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


__all__ = ["Loaded", "load_checkpoint", "load_vae"]
