"""Nodes that restrict CONDITIONING to a part of the picture or of the run, and ControlNets."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .. import folders
from .conditioning import Conditioning
from .inputs import MAX_RESOLUTION, Input, Inputs

if TYPE_CHECKING:
    from torch import Tensor

    from ..models.control import ControlNet
    from ..models.vision import SeenPicture, VisionEncoder

_CELL = 8
_WHOLE = {"width": 1.0, "height": 1.0, "x": 0.0, "y": 0.0}


def _share(default: float, step: float = 0.001) -> Input:
    return "FLOAT", {"default": default, "min": 0.0, "max": 1.0, "step": step}


def _strength() -> Input:
    return "FLOAT", {"default": 1.0, "min": 0.0, "max": 10.0, "step": 0.01}


def _with(conditioning: Conditioning, values: dict[str, Any]) -> Conditioning:
    return [[tokens, {**options, **values}] for tokens, options in conditioning]


class ConditioningSetTimestepRange:
    """A text that counts only from `start` to `end` of the run (0: its begin, 1: its end)."""

    RETURN_TYPES = ("CONDITIONING",)
    FUNCTION = "set_range"
    CATEGORY = "advanced/conditioning"

    @classmethod
    def INPUT_TYPES(cls) -> Inputs:
        return {"required": {"conditioning": ("CONDITIONING",), "start": _share(0.0), "end": _share(1.0)}}

    def set_range(self, conditioning: Conditioning, start: float, end: float) -> tuple[Conditioning]:
        """Shares of the trained time, not of the steps."""
        return (_with(conditioning, {"start_percent": start, "end_percent": end}),)


class ConditioningSetArea:
    """A text that counts only in a rectangle, in pixels."""

    RETURN_TYPES = ("CONDITIONING",)
    FUNCTION = "append"
    CATEGORY = "conditioning"

    @classmethod
    def INPUT_TYPES(cls) -> Inputs:
        size = ("INT", {"default": 64, "min": 64, "max": MAX_RESOLUTION, "step": 8})
        place = ("INT", {"default": 0, "min": 0, "max": MAX_RESOLUTION, "step": 8})
        return {
            "required": {
                "conditioning": ("CONDITIONING",),
                "width": size,
                "height": size,
                "x": place,
                "y": place,
                "strength": _strength(),
            }
        }

    def append(
        self, conditioning: Conditioning, width: int, height: int, x: int, y: int, strength: float
    ) -> tuple[Conditioning]:
        """The model sees only that rectangle."""
        area = tuple(length // _CELL for length in (height, width, y, x))
        return (_with(conditioning, {"area": area, "strength": strength, "set_area_to_bounds": False}),)


class ConditioningSetAreaPercentage:
    """A text that counts only in a rectangle, in shares of the picture."""

    RETURN_TYPES = ("CONDITIONING",)
    FUNCTION = "append"
    CATEGORY = "conditioning"

    @classmethod
    def INPUT_TYPES(cls) -> Inputs:
        shares = {name: _share(at, step=0.01) for name, at in _WHOLE.items()}
        return {"required": {"conditioning": ("CONDITIONING",), **shares, "strength": _strength()}}

    def append(
        self, conditioning: Conditioning, width: float, height: float, x: float, y: float, strength: float
    ) -> tuple[Conditioning]:
        """The model sees only that rectangle."""
        area = ("percentage", height, width, y, x)
        return (_with(conditioning, {"area": area, "strength": strength, "set_area_to_bounds": False}),)


class ConditioningSetMask:
    """A text that counts only where a mask is, as strongly as it is."""

    RETURN_TYPES = ("CONDITIONING",)
    FUNCTION = "append"
    CATEGORY = "conditioning"

    @classmethod
    def INPUT_TYPES(cls) -> Inputs:
        return {
            "required": {
                "conditioning": ("CONDITIONING",),
                "mask": ("MASK",),
                "strength": _strength(),
                "set_cond_area": (["default", "mask bounds"],),
            }
        }

    def append(
        self, conditioning: Conditioning, mask: Tensor, set_cond_area: str, strength: float
    ) -> tuple[Conditioning]:
        """With "mask bounds" the model sees only the smallest rectangle that holds the mask."""
        bounds = set_cond_area != "default"
        values = {"mask": mask, "set_area_to_bounds": bounds, "mask_strength": strength}
        return (_with(conditioning, values),)


class ControlNetLoader:
    """A ControlNet for SD1.x, SD2.x or SDXL (safetensors, in a checkpoint's layout or diffusers')."""

    RETURN_TYPES = ("CONTROL_NET",)
    FUNCTION = "load_controlnet"
    CATEGORY = "loaders"

    @classmethod
    def INPUT_TYPES(cls) -> Inputs:
        return {"required": {"control_net_name": (folders.current().list("controlnet"),)}}

    def load_controlnet(self, control_net_name: str) -> tuple[ControlNet]:
        """Raises ModelMissing, WeightsError, torch.OutOfMemoryError."""
        from ..models.control import load_control_net

        return (load_control_net(folders.current().path("controlnet", control_net_name)),)


class ControlNetApply:
    """A conditioning steered by a picture [B, H, W, 3]; the negative one is steered too."""

    RETURN_TYPES = ("CONDITIONING",)
    FUNCTION = "apply_controlnet"
    CATEGORY = "conditioning/controlnet"
    DEPRECATED = True

    @classmethod
    def INPUT_TYPES(cls) -> Inputs:
        return {
            "required": {
                "conditioning": ("CONDITIONING",),
                "control_net": ("CONTROL_NET",),
                "image": ("IMAGE",),
                "strength": _strength(),
            }
        }

    def apply_controlnet(
        self, conditioning: Conditioning, control_net: ControlNet, image: Tensor, strength: float
    ) -> tuple[Conditioning]:
        """At strength 0 nothing changes."""
        if strength == 0:
            return (conditioning,)
        steered = _steered(conditioning, control_net, image, strength, 0.0, 1.0)
        return (_with(steered, {"control_apply_to_uncond": True}),)


class ControlNetApplyAdvanced:
    """Both conditionings steered by a picture [B, H, W, 3], for a part of the run."""

    RETURN_TYPES = ("CONDITIONING", "CONDITIONING")
    RETURN_NAMES = ("positive", "negative")
    FUNCTION = "apply_controlnet"
    CATEGORY = "conditioning/controlnet"

    @classmethod
    def INPUT_TYPES(cls) -> Inputs:
        return {
            "required": {
                "positive": ("CONDITIONING",),
                "negative": ("CONDITIONING",),
                "control_net": ("CONTROL_NET",),
                "image": ("IMAGE",),
                "strength": _strength(),
                "start_percent": _share(0.0),
                "end_percent": _share(1.0),
            },
            "optional": {"vae": ("VAE",)},
        }

    def apply_controlnet(
        self,
        positive: Conditioning,
        negative: Conditioning,
        control_net: ControlNet,
        image: Tensor,
        strength: float,
        start_percent: float,
        end_percent: float,
        vae: Any = None,
    ) -> tuple[Conditioning, Conditioning]:
        """Shares of the trained time. `vae` is for families that this engine does not run."""
        if strength == 0:
            return positive, negative
        both = [
            _steered(each, control_net, image, strength, start_percent, end_percent)
            for each in (positive, negative)
        ]
        return both[0], both[1]


def _steered(
    conditioning: Conditioning, net: ControlNet, image: Tensor, strength: float, begins: float, ends: float
) -> Conditioning:
    """One ControlUse for all entries that had the same before, so that they can run together."""
    from ..models.control import ControlUse

    picture = image.movedim(-1, 1)
    made: dict[int, ControlUse] = {}
    steered: Conditioning = []
    for tokens, options in conditioning:
        before = options.get("control")
        use = made.setdefault(id(before), ControlUse(net, picture, strength, begins, ends, before))
        steered.append([tokens, {**options, "control": use, "control_apply_to_uncond": False}])
    return steered


class CLIPVisionLoader:
    """A CLIP image encoder from a file of its own."""

    RETURN_TYPES = ("CLIP_VISION",)
    FUNCTION = "load_clip"
    CATEGORY = "loaders"

    @classmethod
    def INPUT_TYPES(cls) -> Inputs:
        return {"required": {"clip_name": (folders.current().list("clip_vision"),)}}

    def load_clip(self, clip_name: str) -> tuple[VisionEncoder]:
        """Raises ModelMissing, WeightsError, torch.OutOfMemoryError."""
        from ..models.vision import load_vision

        return (load_vision(folders.current().path("clip_vision", clip_name)),)


class CLIPVisionEncode:
    """What an image encoder makes of pictures [B, H, W, 3]."""

    RETURN_TYPES = ("CLIP_VISION_OUTPUT",)
    FUNCTION = "encode"
    CATEGORY = "conditioning"

    @classmethod
    def INPUT_TYPES(cls) -> Inputs:
        crop = (["center", "none"],)
        return {"required": {"clip_vision": ("CLIP_VISION",), "image": ("IMAGE",), "crop": crop}}

    def encode(self, clip_vision: VisionEncoder, image: Tensor, crop: str) -> tuple[SeenPicture]:
        """The middle square, or with crop "none" the whole picture squeezed. Raises out of memory."""
        return (clip_vision.encode_image(image, crop=crop == "center"),)


NODE_CLASS_MAPPINGS = {
    "ConditioningSetTimestepRange": ConditioningSetTimestepRange,
    "ConditioningSetArea": ConditioningSetArea,
    "ConditioningSetAreaPercentage": ConditioningSetAreaPercentage,
    "ConditioningSetMask": ConditioningSetMask,
    "ControlNetLoader": ControlNetLoader,
    "ControlNetApply": ControlNetApply,
    "ControlNetApplyAdvanced": ControlNetApplyAdvanced,
    "CLIPVisionLoader": CLIPVisionLoader,
    "CLIPVisionEncode": CLIPVisionEncode,
}
NODE_DISPLAY_NAME_MAPPINGS = {
    "ConditioningSetArea": "Conditioning (Set Area)",
    "ConditioningSetAreaPercentage": "Conditioning (Set Area with Percentage)",
    "ConditioningSetMask": "Conditioning (Set Mask)",
    "ControlNetLoader": "Load ControlNet Model",
    "ControlNetApply": "Apply ControlNet (OLD)",
    "ControlNetApplyAdvanced": "Apply ControlNet",
    "CLIPVisionLoader": "Load CLIP Vision",
    "CLIPVisionEncode": "CLIP Vision Encode",
}
