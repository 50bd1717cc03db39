"""IMAGE values as pictures, and files that appear whole."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from .errors import ImageNotNumbers

if TYPE_CHECKING:
    from PIL import Image
    from PIL.PngImagePlugin import PngInfo
    from torch import Tensor

# Where ComfyUI writes a workflow into WEBP files: the prompt under the camera's model, the rest below it.
_EXIF_MODEL = 0x0110


@contextmanager
def whole_file(path: Path) -> Iterator[IO[bytes]]:
    """A file to write that appears as `path` at the end, or not at all: whoever lists the folder never sees
    half of one."""
    partial = path.with_name(f".{path.name}.partial")
    try:
        with partial.open("w+b") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def picture(image: Tensor) -> Image.Image:
    """One IMAGE [H, W, C] in bytes; values outside of 0..1 are cut. Raises ImageNotNumbers."""
    import numpy as np
    from PIL import Image

    numbers = image.detach().float().cpu().numpy()
    if np.isnan(numbers).any():
        raise ImageNotNumbers(float(np.isnan(numbers).mean()))
    values = (255.0 * numbers).clip(0, 255).astype(np.uint8)
    return Image.fromarray(values[..., 0] if values.shape[-1] == 1 else values)


def png_texts(prompt: Any, extra_pnginfo: Mapping[str, Any] | None) -> PngInfo:
    """The workflow as PNG's texts."""
    from PIL.PngImagePlugin import PngInfo

    texts = PngInfo()
    for key, value in workflow_texts(prompt, extra_pnginfo).items():
        texts.add_text(key, value)
    return texts


def exif_texts(prompt: Any, extra_pnginfo: Mapping[str, Any] | None) -> Image.Exif:
    """The workflow as EXIF tags, each `name:JSON`."""
    from PIL import Image

    exif = Image.Exif()
    for place, (key, value) in enumerate(workflow_texts(prompt, extra_pnginfo).items()):
        exif[_EXIF_MODEL - place] = f"{key}:{value}"
    return exif


def workflow_texts(prompt: Any, extra_pnginfo: Mapping[str, Any] | None) -> dict[str, str]:
    """The prompt, and what the client sent beside it, as JSON by name."""
    texts = {} if prompt is None else {"prompt": json.dumps(prompt)}
    return texts | {key: json.dumps(value) for key, value in (extra_pnginfo or {}).items()}
