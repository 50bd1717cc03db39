"""Pictures and texts as binary frames of the web socket."""

from __future__ import annotations

import io
import json
import struct
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from PIL import Image

PREVIEW_PIXELS = 512  # the longer side
_PREVIEW, _TEXT, _PREVIEW_WITH_METADATA = 1, 3, 4
_FORMAT_NUMBER = {"JPEG": 1, "PNG": 2}


def encode(image: Image.Image) -> tuple[str, bytes]:
    """`image` in the size of a preview, whose longer side is always the same: its format and bytes.

    A small one is made larger, as ComfyUI does: latents have an eighth of the picture's size.
    """
    from PIL import Image, ImageOps

    image = ImageOps.contain(image, (PREVIEW_PIXELS, PREVIEW_PIXELS), Image.Resampling.BILINEAR)
    format = "PNG" if image.mode in ("RGBA", "LA", "P") else "JPEG"
    buffer = io.BytesIO()
    image.save(buffer, format=format, quality=95)
    return format, buffer.getvalue()


def plain_frame(format: str, image: bytes) -> bytes:
    """A preview for clients that do not know metadata."""
    return struct.pack(">II", _PREVIEW, _FORMAT_NUMBER[format]) + image


def metadata_frame(format: str, image: bytes, about: dict[str, Any]) -> bytes:
    """A preview that tells its node."""
    text = json.dumps(about | {"image_type": f"image/{format.lower()}"}).encode()
    return struct.pack(">II", _PREVIEW_WITH_METADATA, len(text)) + text + image


def text_frame(node_id: str, text: str) -> bytes:
    """A line of text that a node shows while it runs."""
    name = node_id.encode()
    return struct.pack(">II", _TEXT, len(name)) + name + text.encode()
