"""The node that writes videos, under the name and inputs that workflows know from VideoHelperSuite.

Where that pack is installed, its own node is used instead.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import IO, TYPE_CHECKING, Any

from .. import folders
from .encoding import Clip, encode_mp4
from .inputs import Inputs
from .writing import exif_texts, picture, whole_file, workflow_texts

if TYPE_CHECKING:
    from torch import Tensor

# Extension of each format.
FORMATS = {"image/gif": "gif", "image/webp": "webp", "video/h264-mp4": "mp4"}


class VHS_VideoCombine:  # noqa: N801 - the pack's name
    """Writes pictures [frames, H, W, 3] as one mp4 (H.264), GIF or WEBP file."""

    RETURN_TYPES = ("VHS_FILENAMES",)
    RETURN_NAMES = ("Filenames",)
    FUNCTION = "combine_video"
    OUTPUT_NODE = True
    CATEGORY = "video"

    @classmethod
    def INPUT_TYPES(cls) -> Inputs:
        return {
            "required": {
                "images": ("IMAGE",),
                "frame_rate": ("FLOAT", {"default": 8, "min": 0.01, "max": 1000.0, "step": 1}),
                "loop_count": ("INT", {"default": 0, "min": 0, "max": 100, "step": 1}),
                "filename_prefix": ("STRING", {"default": "AnimateDiff"}),
                "format": (list(FORMATS),),
                "pingpong": ("BOOLEAN", {"default": False}),
                "save_output": ("BOOLEAN", {"default": True}),
            },
            "optional": {
                "audio": ("AUDIO",),
                "pix_fmt": (["yuv420p", "yuv420p10le"], {"default": "yuv420p"}),
                "crf": ("INT", {"default": 19, "min": 0, "max": 100, "step": 1}),
                "save_metadata": ("BOOLEAN", {"default": True}),
                "trim_to_audio": ("BOOLEAN", {"default": False}),
            },
            "hidden": {"prompt": "PROMPT", "extra_pnginfo": "EXTRA_PNGINFO"},
        }

    def combine_video(
        self,
        images: Tensor,
        frame_rate: float,
        loop_count: int,
        filename_prefix: str,
        format: str,
        pingpong: bool,
        save_output: bool,
        audio: Mapping[str, Any] | None = None,
        pix_fmt: str = "yuv420p",
        crf: int = 19,
        save_metadata: bool = True,
        trim_to_audio: bool = False,
        prompt: Any = None,
        extra_pnginfo: Mapping[str, Any] | None = None,
    ) -> dict[str, Any]:
        """`frame_rate` a second; `loop_count` 0 loops a GIF or WEBP for ever and plays an mp4 once; `crf` is
        H.264's loss (0: none, 51: most).

        Raises VideoLibraryMissing, AudioUnusable, PathOutside.
        """
        type = "output" if save_output else "temp"
        root = folders.current().directory(type)
        assert root is not None, "type is output or temp"
        place = folders.current().save_path(filename_prefix, root, images.shape[2], images.shape[1])
        name = f"{place.stem}_{place.counter:05}.{FORMATS[format]}"
        clip = Clip(_there_and_back(images) if pingpong else images, frame_rate, audio, trim_to_audio)
        about = (prompt, extra_pnginfo) if save_metadata else (None, None)
        with whole_file(place.folder / name) as file:
            if format == "video/h264-mp4":
                encode_mp4(file, clip, loop_count + 1, pix_fmt, crf, workflow_texts(*about))
            else:
                _write_moving_picture(file, format, clip, loop_count, about)
        shown = {"filename": name, "subfolder": place.subfolder, "type": type, "format": format}
        return {"ui": {"gifs": [shown]}, "result": ((save_output, [str(place.folder / name)]),)}


def _there_and_back(images: Tensor) -> Tensor:
    """The frames, then back to the second: played in a loop, no frame comes twice in a row."""
    import torch

    return torch.cat((images, images[1:-1].flip(0)))


def _write_moving_picture(file: IO[bytes], format: str, clip: Clip, loop_count: int, about: Any) -> None:
    clip.refuse_audio(format)
    frames = [picture(image) for image in clip.images]
    options: dict[str, Any] = {"duration": round(1000 / clip.frame_rate), "loop": loop_count}
    if format == "image/webp":
        options |= {"format": "WEBP", "exif": exif_texts(*about)}
    else:
        options |= {"format": "GIF", "disposal": 2}
    frames[0].save(file, save_all=True, append_images=frames[1:], **options)


NODE_CLASS_MAPPINGS = {"VHS_VideoCombine": VHS_VideoCombine}
NODE_DISPLAY_NAME_MAPPINGS = {"VHS_VideoCombine": "Video Combine"}
