"""What can go wrong with pictures, videos and masks in nodes; for weights and sampling see `models.errors`.

EngineError
├── VideoError
│   ├── VideoLibraryMissing  the library that encodes videos is not installed
│   └── AudioUnusable        sound that cannot go into a video
├── UpscalerError
│   ├── UpscalerLibraryMissing  the library that reads upscalers is not installed
│   └── UpscalerUnusable     weights that are no upscaler of pictures
└── ImageError
    ├── ImageUnreadable    a file that is no picture, or is damaged
    ├── ImageNotNumbers    values that are no numbers
    └── ImagesUnlike       pictures that cannot form one batch
"""

from __future__ import annotations

from dataclasses import dataclass

from ..errors import EngineError


class ImageError(EngineError):
    """A picture cannot be used."""


@dataclass(eq=False)
class ImageUnreadable(ImageError):
    """The file called `name` could not be read as a picture."""

    name: str
    why: str

    def __str__(self) -> str:
        return f"{self.name} cannot be read as a picture ({self.why}); upload it again in another format."


@dataclass(eq=False)
class ImageNotNumbers(ImageError):
    """A share of a picture's values are no numbers (NaN), as when a network overflows in half precision."""

    share: float

    def __str__(self) -> str:
        return (
            f"{self.share:.0%} of the picture's values are no numbers (NaN), so nothing was written: a model "
            "or VAE overflowed, or its file is damaged. Try another VAE or other settings."
        )


@dataclass(eq=False)
class ImagesUnlike(ImageError):
    """Two things that must have one size do not."""

    why: str

    def __str__(self) -> str:
        return f"These pictures do not go together: {self.why}."


class VideoError(EngineError):
    """A video cannot be written."""


@dataclass(eq=False)
class VideoLibraryMissing(VideoError):
    """PyAV is not installed."""

    def __str__(self) -> str:
        return "Videos need the package av; add it to the workstation's dependencies, or choose image/webp."


@dataclass(eq=False)
class AudioUnusable(VideoError):
    """Sound that cannot go into the video, for the reason `why`."""

    why: str

    def __str__(self) -> str:
        return f"This sound cannot be used: {self.why}; remove the link or choose video/h264-mp4."


class UpscalerError(EngineError):
    """An upscaler cannot be used."""


@dataclass(eq=False)
class UpscalerLibraryMissing(UpscalerError):
    """spandrel is not installed."""

    def __str__(self) -> str:
        return "Upscale models need the package spandrel; add it to the workstation's dependencies."


@dataclass(eq=False)
class UpscalerUnusable(UpscalerError):
    """The file called `name` is no upscaler, for the reason `why`."""

    name: str
    why: str

    def __str__(self) -> str:
        return f"{self.name} cannot be used as an upscale model ({self.why}); choose another file."
