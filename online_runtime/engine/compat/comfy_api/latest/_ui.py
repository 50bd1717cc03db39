"""`comfy_api.latest.ui`: what schema nodes show."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ....nodes.image_files import PreviewImage as PreviewImageNode
from ....nodes.image_files import SaveImage as SaveImageNode
from ...placeholders import placeholder
from ._types import FolderType

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["ImageSaveHelper", "PreviewImage", "PreviewMask", "PreviewText", "SavedImages", "SavedResult"]


class SavedResult(dict[str, str]):
    """A file that was written: its name, and where."""

    def __init__(self, filename: str, subfolder: str, type: Any) -> None:
        super().__init__(filename=filename, subfolder=subfolder, type=FolderType(type).value)

    @property
    def filename(self) -> str:
        return self["filename"]

    @property
    def subfolder(self) -> str:
        return self["subfolder"]

    @property
    def type(self) -> FolderType:
        return FolderType(self["type"])


class SavedImages:
    """Pictures that were written, to be shown."""

    def __init__(self, results: Sequence[SavedResult], is_animated: bool = False) -> None:
        self.results = list(results)
        self.is_animated = is_animated

    def as_dict(self) -> dict[str, Any]:
        """The node's `ui`."""
        return {"images": self.results} | ({"animated": (True,)} if self.is_animated else {})


class PreviewImage:
    """Pictures [B, H, W, C] to show, written to the temp folder."""

    def __init__(self, image: Tensor, animated: bool = False, cls: Any = None, **_: Any) -> None:
        self.animated = animated
        self.values = _saved(PreviewImageNode(), image, "ComfyUI", cls)

    def as_dict(self) -> dict[str, Any]:
        """The node's `ui`."""
        return {"images": self.values, "animated": (self.animated,)}


class PreviewMask(PreviewImage):
    """Masks [B, H, W] to show as grey pictures."""

    def __init__(self, mask: Tensor, animated: bool = False, cls: Any = None, **_: Any) -> None:
        grey = mask.reshape((-1, 1, *mask.shape[-2:])).movedim(1, -1).expand(-1, -1, -1, 3)
        super().__init__(grey, animated, cls)


class PreviewText:
    """A text to show."""

    def __init__(self, value: str, **_: Any) -> None:
        self.value = value

    def as_dict(self) -> dict[str, Any]:
        """The node's `ui`."""
        return {"text": (self.value,)}


class ImageSaveHelper:
    """Writing pictures as SaveImage does."""

    @staticmethod
    def save_images(
        images: Tensor,
        filename_prefix: str,
        folder_type: Any,
        cls: Any,
        compress_level: int = 4,
    ) -> list[SavedResult]:
        """Write [B, H, W, C] as PNGs into the output or temp folder."""
        node = SaveImageNode()
        node.type, node.compress_level = FolderType(folder_type).value, compress_level
        return _saved(node, images, filename_prefix, cls)

    @staticmethod
    def get_save_images_ui(
        images: Tensor, filename_prefix: str, cls: Any, compress_level: int = 4
    ) -> SavedImages:
        """Write into the output folder, and what to show of it."""
        saved = ImageSaveHelper.save_images(images, filename_prefix, FolderType.output, cls, compress_level)
        return SavedImages(saved)


def _saved(node: SaveImageNode, images: Tensor, prefix: str, cls: Any) -> list[SavedResult]:
    hidden = getattr(cls, "hidden", None)
    prompt, info = getattr(hidden, "prompt", None), getattr(hidden, "extra_pnginfo", None)
    return [SavedResult(**one) for one in node.save_images(images, prefix, prompt, info)["ui"]["images"]]


def __getattr__(name: str) -> Any:
    if name.startswith("__"):
        raise AttributeError(name)
    return placeholder(f"comfy_api.latest.ui.{name}")
