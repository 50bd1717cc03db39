"""The builtin nodes, under ComfyUI's class names and inputs, so that its workflows run unchanged.

Importing this package imports neither torch nor diffusers; nodes do when they run.
"""

from __future__ import annotations

from . import (
    animation,
    conditioning,
    conditioning_places,
    custom_sampling,
    image,
    image_effects,
    image_files,
    latent,
    latent_edit,
    loaders,
    masks,
    primitive,
    sampling,
    upscaling,
    video,
    video_files,
)

_FAMILIES = (
    loaders,
    conditioning,
    conditioning_places,
    latent,
    latent_edit,
    sampling,
    custom_sampling,
    image_files,
    image,
    image_effects,
    masks,
    upscaling,
    video,
    animation,
    video_files,
    primitive,
)

NODE_CLASS_MAPPINGS: dict[str, type] = {
    name: node for family in _FAMILIES for name, node in family.NODE_CLASS_MAPPINGS.items()
}
# A node without a title of its own is shown by its class name.
NODE_DISPLAY_NAME_MAPPINGS: dict[str, str] = {
    name: family.NODE_DISPLAY_NAME_MAPPINGS.get(name, name)
    for family in _FAMILIES
    for name in family.NODE_CLASS_MAPPINGS
}

__all__ = ["NODE_CLASS_MAPPINGS", "NODE_DISPLAY_NAME_MAPPINGS"]
