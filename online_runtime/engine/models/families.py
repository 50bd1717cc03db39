"""Which family a checkpoint belongs to, told from tensor names and shapes alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

from .errors import UnknownFamily
from .single_file import Header, Shape
from .text_shape import TextShape, read_text_shape
from .unet_shape import UNetShape, read_unet_shape
from .vae_shape import VAEShape, read_vae_shape
from .video_shape import MARK as VIDEO_MARK

UNET = "model.diffusion_model."
VAE = "first_stage_model."

# Tensors that other families have: the answer says what a file is, not only what it is not.
_STRANGERS = {
    "double_blocks.": "it looks like Flux",
    "joint_blocks.": "it looks like SD3",
    "model.diffusion_model.double_blocks.": "it looks like Flux",
    "model.diffusion_model.joint_blocks.": "it looks like SD3",
    "down_blocks.": "it is a UNet alone in diffusers' layout, not a checkpoint",
    "lora_unet_": "it is a LoRA; load it with LoraLoader",
    "decoder.": "it is a VAE alone; load it with VAELoader",
}


class Family(Enum):
    """The families that this engine runs. The value is for people."""

    SD1 = "SD1.x"
    SD2 = "SD2.x"
    SDXL = "SDXL"
    SVD = "SVD"


@dataclass(frozen=True)
class LatentFormat:
    """What a family's UNet expects of latents: their factor, and how they look as colours (for previews).

    `rgb` has one row a latent channel, `rgb_offset` one value a colour; both give -1..1.
    """

    scale: float
    rgb: tuple[tuple[float, float, float], ...]
    rgb_offset: tuple[float, float, float]


# Linear approximations published by users: for SD1 in the Hugging Face forum, for SDXL in its latent-space
# article.
_SD_LATENTS = LatentFormat(
    scale=0.18215,
    rgb=((0.298, 0.207, 0.208), (0.187, 0.286, 0.173), (-0.158, 0.189, 0.264), (-0.184, -0.271, -0.473)),
    rgb_offset=(0.0, 0.0, 0.0),
)
_SDXL_LATENTS = LatentFormat(
    scale=0.13025,
    rgb=((0.470, 0.470, 0.470), (-0.470, -0.039, 0.078), (0.196, 0.118, -0.039), (-0.549, -0.392, -0.274)),
    rgb_offset=(0.176, 0.098, 0.020),
)


def latent_format(family: Family) -> LatentFormat:
    """The latents of `family`."""
    return _SDXL_LATENTS if family is Family.SDXL else _SD_LATENTS


@dataclass(frozen=True)
class TextPart:
    """One text encoder of a checkpoint: its shape and the prefix of its tensors."""

    prefix: str
    shape: TextShape


@dataclass(frozen=True)
class Checkpoint:
    """What a checkpoint file holds. `v_prediction` and `zero_snr` are None where names do not tell."""

    header: Header
    family: Family
    unet: UNetShape
    vae: VAEShape
    texts: tuple[TextPart, ...]
    v_prediction: bool | None
    zero_snr: bool

    @property
    def pooled_width(self) -> int | None:
        """Width of the pooled text that the UNet takes; None for families without it."""
        return self.texts[-1].shape.projection if self.family is Family.SDXL else None


def recognise(header: Header) -> Checkpoint:
    """The checkpoint in `header`'s file. Raises UnknownFamily with the reason."""
    try:
        return _recognised(header)
    except ValueError as error:
        raise UnknownFamily(header.path, str(error)) from error


def below(shapes: Mapping[str, Shape], prefix: str) -> dict[str, Shape]:
    """The entries whose names start with `prefix`, without it."""
    return {name[len(prefix) :]: shape for name, shape in shapes.items() if name.startswith(prefix)}


def _recognised(header: Header) -> Checkpoint:
    if f"{UNET}input_blocks.0.0.weight" not in header.shapes:
        raise ValueError(_stranger(header))
    if UNET + VIDEO_MARK in header.shapes:
        raise ValueError("it is a video model; load it with ImageOnlyCheckpointLoader")
    unet = read_unet_shape(below(header.shapes, UNET))
    if unet.in_channels != 4:
        raise ValueError(f"its UNet takes {unet.in_channels} channels (inpainting or editing weights), not 4")
    family, prefixes = _family(header)
    texts = tuple(TextPart(p, read_text_shape(below(header.shapes, p))) for p in prefixes)
    checkpoint = Checkpoint(
        header=header,
        family=family,
        unet=unet,
        vae=read_vae_shape(below(header.shapes, VAE)),
        texts=texts,
        v_prediction=_v_prediction(header, family),
        zero_snr="ztsnr" in header.shapes,
    )
    _check_widths(checkpoint)
    return checkpoint


def _family(header: Header) -> tuple[Family, tuple[str, ...]]:
    """The family, and the prefixes of its text encoders."""
    if header.has("conditioner.embedders.1."):
        first = _with_text_model(header, "conditioner.embedders.0.transformer.")
        return Family.SDXL, (first, "conditioner.embedders.1.model.")
    if header.has("conditioner.embedders.0.model."):
        raise ValueError("it is the SDXL refiner")
    if header.has("cond_stage_model.model."):
        return Family.SD2, ("cond_stage_model.model.",)
    if header.has("cond_stage_model.transformer."):
        return Family.SD1, (_with_text_model(header, "cond_stage_model.transformer."),)
    raise ValueError("it has a UNet but no text encoder")


def _with_text_model(header: Header, prefix: str) -> str:
    longer = f"{prefix}text_model."
    return longer if header.has(longer) else prefix


def _v_prediction(header: Header, family: Family) -> bool | None:
    stated = header.metadata.get("modelspec.prediction_type", "").lower()
    if stated in ("v", "epsilon"):
        return stated == "v"
    if "v_pred" in header.shapes or header.metadata.get("modelspec.architecture", "").endswith("-768-v"):
        return True
    return None if family is Family.SD2 else False


def _check_widths(checkpoint: Checkpoint) -> None:
    context, added = checkpoint.unet.context_width, checkpoint.unet.added_width
    widths = sum(part.shape.width for part in checkpoint.texts)
    if context != widths:
        raise ValueError(f"its UNet expects a text width of {context}, its text encoders give {widths}")
    if (added is not None) != (checkpoint.family is Family.SDXL):
        raise ValueError("its UNet and its text encoders belong to different families")
    pooled = checkpoint.pooled_width
    if added is not None and (pooled is None or (added - pooled) % 6 or added <= pooled):
        raise ValueError(f"its UNet's added width {added} does not fit a pooled text of {pooled}")


def _stranger(header: Header) -> str:
    for prefix, what in _STRANGERS.items():
        if header.has(prefix):
            return what
    return "it holds no UNet of SD's kind"
