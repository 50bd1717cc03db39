"""The CLIP_VISION object: pictures to vectors."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from . import memory
from .errors import UnknownFamily
from .filling import filled, tensors_below
from .networks import new_vision_encoder
from .patched import Patched
from .single_file import Header, read_header
from .vision_shape import VisionShape, read_vision_shape

# CLIP's own mean and spread of the colours.
_MEAN = (0.48145466, 0.4578275, 0.40821073)
_SPREAD = (0.26862954, 0.26130258, 0.27577711)


@dataclass(frozen=True)
class SeenPicture:
    """What an image encoder makes of pictures: `image_embeds` [B, projection]; the layers' states [B, tokens,
    width]. On the CPU, in float32."""

    image_embeds: Tensor
    last_hidden_state: Tensor
    penultimate_hidden_states: Tensor


@dataclass(frozen=True)
class VisionEncoder:
    """What a node calls CLIP_VISION."""

    shape: VisionShape
    network: Patched

    @torch.no_grad()
    def encode_image(self, pixels: Tensor, crop: bool = True) -> SeenPicture:
        """`pixels` [B, H, W, 3 or more] in 0..1; the middle square, or with `crop` False all of it, squeezed.

        Raises torch.OutOfMemoryError.
        """
        prepared = _prepared(pixels, self.shape.picture, crop)
        with memory.dropping_when_full():
            inputs = prepared.to(memory.device(), self.network.dtype)
            output = self.network(pixel_values=inputs, output_hidden_states=True)
        return SeenPicture(
            image_embeds=output.image_embeds.float().cpu(),
            last_hidden_state=output.last_hidden_state.float().cpu(),
            penultimate_hidden_states=output.hidden_states[-2].float().cpu(),
        )


def load_vision(path: Path) -> VisionEncoder:
    """The image encoder in the file `path`. Raises WeightsError."""
    return memory.loaded(path, "vision", lambda: vision_in(read_header(path), ""))


def vision_in(header: Header, prefix: str) -> VisionEncoder:
    """The image encoder whose tensors start with `prefix`. Raises WeightsError."""
    from accelerate import init_empty_weights

    shapes = {n[len(prefix) :]: s for n, s in header.shapes.items() if n.startswith(prefix)}
    try:
        shape = read_vision_shape(shapes)
    except ValueError as error:
        raise UnknownFamily(header.path, str(error)) from error
    with init_empty_weights(include_buffers=False):
        empty = new_vision_encoder(shape.transformers())
    tensors = shape.named_for_transformers(tensors_below(header, prefix))
    network = filled(empty, tensors, memory.weights_dtype(), header.path, "image encoder")
    return VisionEncoder(shape, Patched(network))


def _prepared(pixels: Tensor, side: int, crop: bool) -> Tensor:
    images = pixels[..., :3].movedim(-1, 1).float()
    height, width = images.shape[2:]
    if crop:
        factor = side / min(height, width)
        size = (max(side, round(height * factor)), max(side, round(width * factor)))
    else:
        size = (side, side)
    images = torch.nn.functional.interpolate(images, size=size, mode="bicubic", antialias=True)
    top, left = (images.shape[2] - side) // 2, (images.shape[3] - side) // 2
    images = images[:, :, top : top + side, left : left + side]
    # Whole bytes, as the encoder saw in training.
    images = (images * 255).clamp(0, 255).round() / 255
    mean, spread = (torch.tensor(values).reshape(1, 3, 1, 1) for values in (_MEAN, _SPREAD))
    return (images - mean) / spread
