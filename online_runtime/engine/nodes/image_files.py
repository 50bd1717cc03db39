"""Nodes that read and write pictures as files."""

from __future__ import annotations

import hashlib
import mimetypes
import secrets
import string
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from .. import folders
from .errors import ImageUnreadable
from .inputs import Inputs
from .writing import picture, png_texts, whole_file

if TYPE_CHECKING:
    from PIL import Image
    from torch import Tensor


class SaveImage:
    """Writes pictures as PNG into the output folder, the workflow inside."""

    RETURN_TYPES = ()
    FUNCTION = "save_images"
    OUTPUT_NODE = True
    CATEGORY = "image"
    DESCRIPTION = "Saves the pictures in the output folder."

    type = "output"
    # zlib's levels: ComfyUI's for files to keep; previews are read once, so that speed counts more.
    compress_level = 4

    @classmethod
    def INPUT_TYPES(cls) -> Inputs:
        return {
            "required": {"images": ("IMAGE",), "filename_prefix": ("STRING", {"default": "ComfyUI"})},
            "hidden": {"prompt": "PROMPT", "extra_pnginfo": "EXTRA_PNGINFO"},
        }

    def save_images(
        self,
        images: Tensor,
        filename_prefix: str = "ComfyUI",
        prompt: Any = None,
        extra_pnginfo: Mapping[str, Any] | None = None,
    ) -> dict[str, Any]:
        """`filename_prefix` may hold subfolders and %batch_num%. Raises PathOutside."""
        root = folders.current().directory(self.type)
        assert root is not None, "type is output or temp"
        place = folders.current().save_path(filename_prefix, root, images.shape[2], images.shape[1])
        texts = png_texts(prompt, extra_pnginfo)
        saved = []
        for at, image in enumerate(images):
            name = f"{place.stem.replace('%batch_num%', str(at))}_{place.counter + at:05}_.png"
            with whole_file(place.folder / name) as file:
                picture(image).save(file, format="PNG", pnginfo=texts, compress_level=self.compress_level)
            saved.append({"filename": name, "subfolder": place.subfolder, "type": self.type})
        return {"ui": {"images": saved}}


class PreviewImage(SaveImage):
    """Writes pictures into the temp folder, to be shown and forgotten."""

    DESCRIPTION = "Shows the pictures without keeping them."
    type = "temp"
    compress_level = 1

    def __init__(self) -> None:
        # Another name for each node, so that previews of several nodes do not count on from one another.
        letters = "".join(secrets.choice(string.ascii_lowercase) for _ in range(5))
        self.prefix = f"_temp_{letters}"

    @classmethod
    def INPUT_TYPES(cls) -> Inputs:
        return {
            "required": {"images": ("IMAGE",)},
            "hidden": {"prompt": "PROMPT", "extra_pnginfo": "EXTRA_PNGINFO"},
        }

    def save_images(
        self,
        images: Tensor,
        filename_prefix: str = "ComfyUI",
        prompt: Any = None,
        extra_pnginfo: Mapping[str, Any] | None = None,
    ) -> dict[str, Any]:
        """As SaveImage, into the temp folder."""
        return super().save_images(images, filename_prefix + self.prefix, prompt, extra_pnginfo)


class LoadImage:
    """A picture of the input folder, and its transparency as a mask (1 where nothing is)."""

    RETURN_TYPES = ("IMAGE", "MASK")
    FUNCTION = "load_image"
    CATEGORY = "image"

    @classmethod
    def INPUT_TYPES(cls) -> Inputs:
        return {"required": {"image": (_input_images(), {"image_upload": True})}}

    def load_image(self, image: str) -> tuple[Tensor, Tensor]:
        """IMAGE [frames, H, W, 3] and MASK [frames, H, W]; without transparency the mask is 64x64 of zeros.

        Frames of another size than the first are left out. Raises ImageUnreadable, PathOutside.
        """
        import torch

        frames = [frame for frame in _frames(image) if frame.width and frame.height]
        frames = [frame for frame in frames if frame.size == frames[0].size]
        pixels = torch.stack([_values(frame.convert("RGB")) for frame in frames])
        return pixels, torch.stack([_transparency(frame) for frame in frames])

    @classmethod
    def IS_CHANGED(cls, image: str) -> str:
        return _digest(image)

    @classmethod
    def VALIDATE_INPUTS(cls, image: str) -> bool | str:
        return _valid(image)


class LoadImageMask:
    """One channel of a picture of the input folder as a mask; alpha is turned round, so that 1 is where
    nothing is."""

    RETURN_TYPES = ("MASK",)
    FUNCTION = "load_image"
    CATEGORY = "mask"
    CHANNELS = ("alpha", "red", "green", "blue")

    @classmethod
    def INPUT_TYPES(cls) -> Inputs:
        return {
            "required": {
                "image": (_input_images(), {"image_upload": True}),
                "channel": (list(cls.CHANNELS),),
            }
        }

    def load_image(self, image: str, channel: str) -> tuple[Tensor]:
        """MASK [1, H, W]; [1, 64, 64] of zeros for the alpha of a picture without. Raises ImageUnreadable."""
        first = _frames(image)[0]
        if channel == "alpha":
            return (_transparency(first).unsqueeze(0),)
        return (_values(first.convert("RGB"))[None, ..., ("red", "green", "blue").index(channel)],)

    @classmethod
    def IS_CHANGED(cls, image: str, channel: str) -> str:
        return _digest(image)

    @classmethod
    def VALIDATE_INPUTS(cls, image: str) -> bool | str:
        return _valid(image)


def _input_images() -> list[str]:
    root = folders.current().input
    if not root.is_dir():
        return []
    files = [entry.name for entry in root.iterdir() if entry.is_file()]
    return sorted(name for name in files if (mimetypes.guess_type(name)[0] or "").startswith("image/"))


def _digest(name: str) -> str:
    with folders.current().annotated(name).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _valid(name: str) -> bool | str:
    if folders.current().annotated(name).is_file():
        return True
    return f"There is no picture {name}; upload it first."


def _frames(name: str) -> list[Image.Image]:
    """All frames of a picture, turned as its camera says. Raises ImageUnreadable."""
    from PIL import Image, ImageOps, ImageSequence

    try:
        with Image.open(folders.current().annotated(name)) as file:
            return [ImageOps.exif_transpose(_shown(frame)) for frame in ImageSequence.Iterator(file)]
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise ImageUnreadable(name, f"{type(error).__name__}: {error}") from error


def _shown(frame: Image.Image) -> Image.Image:
    """A copy of a frame; one of 16 or 32 bits a pixel becomes 8, because others read it so."""
    if frame.mode.startswith("I"):
        return frame.convert("I").point(lambda value: value * (1 / 257)).convert("L")
    return frame.copy()


def _values(image: Image.Image) -> Tensor:
    import numpy as np
    import torch

    return torch.from_numpy(np.asarray(image).astype(np.float32) / 255.0)


def _transparency(image: Image.Image) -> Tensor:
    import torch

    if image.has_transparency_data:
        return 1.0 - _values(image.convert("RGBA").getchannel("A"))
    return torch.zeros((64, 64), dtype=torch.float32)


NODE_CLASS_MAPPINGS = {
    "LoadImage": LoadImage,
    "LoadImageMask": LoadImageMask,
    "SaveImage": SaveImage,
    "PreviewImage": PreviewImage,
}
NODE_DISPLAY_NAME_MAPPINGS = {
    "LoadImage": "Load Image",
    "LoadImageMask": "Load Image (as Mask)",
    "SaveImage": "Save Image",
    "PreviewImage": "Preview Image",
}
