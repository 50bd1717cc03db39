"""Nodes that write a batch of pictures as one moving picture."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from .. import folders
from .inputs import Input, Inputs
from .writing import exif_texts, picture, png_texts, whole_file

if TYPE_CHECKING:
    from torch import Tensor

_FPS: Input = ("FLOAT", {"default": 6.0, "min": 0.01, "max": 1000.0, "step": 0.01})
_HIDDEN: dict[str, Input | str] = {"prompt": "PROMPT", "extra_pnginfo": "EXTRA_PNGINFO"}


class SaveAnimatedWEBP:
    """Writes pictures [frames, H, W, 3] as one animated WEBP into the output folder, the workflow inside."""

    RETURN_TYPES = ()
    FUNCTION = "save_images"
    OUTPUT_NODE = True
    CATEGORY = "image/animation"
    # Pillow's effort: more of it makes smaller files.
    METHODS: ClassVar = {"default": 4, "fastest": 0, "slowest": 6}

    @classmethod
    def INPUT_TYPES(cls) -> Inputs:
        return {
            "required": {
                "images": ("IMAGE",),
                "filename_prefix": ("STRING", {"default": "ComfyUI"}),
                "fps": _FPS,
                "lossless": ("BOOLEAN", {"default": True}),
                "quality": ("INT", {"default": 80, "min": 0, "max": 100}),
                "method": (list(cls.METHODS),),
            },
            "hidden": dict(_HIDDEN),
        }

    def save_images(
        self,
        images: Tensor,
        fps: float,
        filename_prefix: str,
        lossless: bool,
        quality: int,
        method: str,
        prompt: Any = None,
        extra_pnginfo: Mapping[str, Any] | None = None,
    ) -> dict[str, Any]:
        """`fps` in frames a second; `quality` counts when not `lossless`. Raises PathOutside."""
        options = {
            "format": "WEBP",
            "loop": 0,
            "exif": exif_texts(prompt, extra_pnginfo),
            "lossless": lossless,
            "quality": quality,
            "method": self.METHODS[method],
        }
        return _saved(images, filename_prefix, fps, "webp", options)


class SaveAnimatedPNG:
    """Writes pictures [frames, H, W, 3] as one animated PNG into the output folder, the workflow inside."""

    RETURN_TYPES = ()
    FUNCTION = "save_images"
    OUTPUT_NODE = True
    CATEGORY = "image/animation"

    @classmethod
    def INPUT_TYPES(cls) -> Inputs:
        return {
            "required": {
                "images": ("IMAGE",),
                "filename_prefix": ("STRING", {"default": "ComfyUI"}),
                "fps": _FPS,
                "compress_level": ("INT", {"default": 4, "min": 0, "max": 9}),
            },
            "hidden": dict(_HIDDEN),
        }

    def save_images(
        self,
        images: Tensor,
        fps: float,
        compress_level: int,
        filename_prefix: str = "ComfyUI",
        prompt: Any = None,
        extra_pnginfo: Mapping[str, Any] | None = None,
    ) -> dict[str, Any]:
        """`fps` in frames a second. Raises PathOutside."""
        texts = png_texts(prompt, extra_pnginfo)
        options = {"format": "PNG", "pnginfo": texts, "compress_level": compress_level}
        return _saved(images, filename_prefix, fps, "png", options)


def _saved(
    images: Tensor, prefix: str, fps: float, extension: str, options: dict[str, Any]
) -> dict[str, Any]:
    root = folders.current().output
    place = folders.current().save_path(prefix, root, images.shape[2], images.shape[1])
    frames = [picture(image) for image in images]
    name = f"{place.stem}_{place.counter:05}_.{extension}"
    with whole_file(place.folder / name) as file:
        frames[0].save(file, save_all=True, append_images=frames[1:], duration=int(1000 / fps), **options)
    shown = {"filename": name, "subfolder": place.subfolder, "type": "output"}
    return {"ui": {"images": [shown], "animated": (len(frames) != 1,)}}


NODE_CLASS_MAPPINGS = {"SaveAnimatedWEBP": SaveAnimatedWEBP, "SaveAnimatedPNG": SaveAnimatedPNG}
NODE_DISPLAY_NAME_MAPPINGS = {"SaveAnimatedWEBP": "SaveAnimatedWEBP", "SaveAnimatedPNG": "SaveAnimatedPNG"}
