"""`comfy.comfy_types.node_typing`."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

# For annotations only.
InputTypeDict = dict[str, Any]
ComfyNodeInputTypes = dict[str, Any]


class IO(StrEnum):
    """The types of inputs and outputs, as they are written in INPUT_TYPES."""

    STRING = "STRING"
    IMAGE = "IMAGE"
    MASK = "MASK"
    LATENT = "LATENT"
    BOOLEAN = "BOOLEAN"
    INT = "INT"
    FLOAT = "FLOAT"
    COMBO = "COMBO"
    CONDITIONING = "CONDITIONING"
    SAMPLER = "SAMPLER"
    SIGMAS = "SIGMAS"
    GUIDER = "GUIDER"
    NOISE = "NOISE"
    CLIP = "CLIP"
    CONTROL_NET = "CONTROL_NET"
    VAE = "VAE"
    MODEL = "MODEL"
    CLIP_VISION = "CLIP_VISION"
    CLIP_VISION_OUTPUT = "CLIP_VISION_OUTPUT"
    STYLE_MODEL = "STYLE_MODEL"
    GLIGEN = "GLIGEN"
    UPSCALE_MODEL = "UPSCALE_MODEL"
    AUDIO = "AUDIO"
    WEBCAM = "WEBCAM"
    VIDEO = "VIDEO"
    POINT = "POINT"
    FACE_ANALYSIS = "FACE_ANALYSIS"
    BBOX = "BBOX"
    SEGS = "SEGS"
    ANY = "*"
    NUMBER = "FLOAT,INT"
    PRIMITIVE = "STRING,FLOAT,INT,BOOLEAN"

    def __ne__(self, other: object) -> bool:
        """ANY differs from nothing, and a type of several only from what shares none of them."""
        mine, theirs = set(self.value.split(",")), set(str(other).split(","))
        return "*" not in mine | theirs and not mine & theirs

    __eq__ = str.__eq__
    __hash__ = str.__hash__


class ComfyNodeABC:
    """A base class without duties."""

    DESCRIPTION = ""
    CATEGORY = ""
