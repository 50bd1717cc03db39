"""What can go wrong with pictures in nodes; for weights, texts and sampling see `models.errors`.

EngineError
└── ImageError
    ├── ImageUnreadable    a file that is no picture, or is damaged
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
class ImagesUnlike(ImageError):
    """Two things that must have one size do not."""

    why: str

    def __str__(self) -> str:
        return f"These pictures do not go together: {self.why}."
