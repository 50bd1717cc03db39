"""Nodes that enlarge pictures with a network, read by the package spandrel where it is installed."""

from __future__ import annotations

import importlib
import importlib.util
from typing import TYPE_CHECKING, Any

from .. import folders, progress
from .errors import UpscalerLibraryMissing, UpscalerUnusable
from .inputs import Inputs

if TYPE_CHECKING:
    from torch import Tensor

# Pictures are enlarged in squares of so many pixels, so that any size fits into memory.
_TILE, _OVERLAP = 512, 32


class UpscaleModelLoader:
    """A network that enlarges pictures (ESRGAN and its kin, safetensors)."""

    RETURN_TYPES = ("UPSCALE_MODEL",)
    FUNCTION = "load_model"
    CATEGORY = "loaders"

    @classmethod
    def INPUT_TYPES(cls) -> Inputs:
        return {"required": {"model_name": (folders.current().list("upscale_models"),)}}

    def load_model(self, model_name: str) -> tuple[Any]:
        """Raises UpscalerLibraryMissing, UpscalerUnusable, ModelMissing, PickleRefused, NotSafetensors."""
        if importlib.util.find_spec("spandrel") is None:
            raise UpscalerLibraryMissing()
        from ..models import memory
        from ..models.single_file import read_header, read_tensors

        spandrel: Any = importlib.import_module("spandrel")
        path = folders.current().path("upscale_models", model_name)

        def load() -> Any:
            tensors = read_tensors(path, read_header(path).shapes)
            try:
                found = spandrel.ModelLoader(device="cpu").load_from_state_dict(tensors)
            except (ValueError, KeyError, RuntimeError) as error:
                raise UpscalerUnusable(model_name, f"{type(error).__name__}: {error}") from error
            if not isinstance(found, spandrel.ImageModelDescriptor):
                raise UpscalerUnusable(model_name, "it is made for something else than single pictures")
            return found.eval()

        return (memory.loaded(path, "upscaler", load),)


class ImageUpscaleWithModel:
    """Pictures [B, H, W, 3] as many times larger as the network makes them."""

    RETURN_TYPES = ("IMAGE",)
    FUNCTION = "upscale"
    CATEGORY = "image/upscaling"

    @classmethod
    def INPUT_TYPES(cls) -> Inputs:
        return {"required": {"upscale_model": ("UPSCALE_MODEL",), "image": ("IMAGE",)}}

    def upscale(self, upscale_model: Any, image: Tensor) -> tuple[Tensor]:
        """Raises Interrupted, torch.OutOfMemoryError."""
        import torch

        from ..models import memory
        from ..models.tiles import by_tiles

        watching = progress.current()
        with torch.no_grad(), memory.dropping_when_full():
            network = memory.place(upscale_model.model)

            def step(part: Tensor) -> Tensor:
                watching.check_interrupted()
                answer: Tensor = upscale_model(part.to(next(network.parameters()).device))
                return answer.float().cpu()

            pictures = image[..., :3].movedim(-1, 1)
            larger = [
                by_tiles(one, step, _TILE, _OVERLAP, upscale_model.scale) for one in torch.split(pictures, 1)
            ]
        return (torch.cat(larger).movedim(1, -1).clamp(0, 1),)


NODE_CLASS_MAPPINGS = {
    "UpscaleModelLoader": UpscaleModelLoader,
    "ImageUpscaleWithModel": ImageUpscaleWithModel,
}
NODE_DISPLAY_NAME_MAPPINGS = {
    "UpscaleModelLoader": "Load Upscale Model",
    "ImageUpscaleWithModel": "Upscale Image (using Model)",
}
