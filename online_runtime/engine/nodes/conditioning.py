"""Nodes that make and combine CONDITIONING: a list of [tensor [1, tokens, width], options]."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .inputs import Inputs

if TYPE_CHECKING:
    from ..models.text import TextEncoders

Conditioning = list[list[Any]]


class CLIPTextEncode:
    """A text as conditioning; `(word:1.2)` counts 1.2 times."""

    RETURN_TYPES = ("CONDITIONING",)
    FUNCTION = "encode"
    CATEGORY = "conditioning"

    @classmethod
    def INPUT_TYPES(cls) -> Inputs:
        return {
            "required": {"text": ("STRING", {"multiline": True, "dynamicPrompts": True}), "clip": ("CLIP",)}
        }

    def encode(self, clip: TextEncoders, text: str) -> tuple[Conditioning]:
        """Raises TextError, torch.OutOfMemoryError."""
        encoded = clip.encode(text)
        return ([[encoded.tokens, {"pooled_output": encoded.pooled}]],)


class CLIPSetLastLayer:
    """Stops the text encoder before its last layers ("clip skip"): -1 is the last, -2 the one before."""

    RETURN_TYPES = ("CLIP",)
    FUNCTION = "set_last_layer"
    CATEGORY = "conditioning"

    @classmethod
    def INPUT_TYPES(cls) -> Inputs:
        layer = ("INT", {"default": -1, "min": -24, "max": -1, "step": 1})
        return {"required": {"clip": ("CLIP",), "stop_at_clip_layer": layer}}

    def set_last_layer(self, clip: TextEncoders, stop_at_clip_layer: int) -> tuple[TextEncoders]:
        """Another CLIP that shares the weights."""
        return (clip.at_layer(stop_at_clip_layer),)


class ConditioningCombine:
    """Both conditionings: the model is asked for each, and the mean of the answers is taken."""

    RETURN_TYPES = ("CONDITIONING",)
    FUNCTION = "combine"
    CATEGORY = "conditioning"

    @classmethod
    def INPUT_TYPES(cls) -> Inputs:
        return {"required": {"conditioning_1": ("CONDITIONING",), "conditioning_2": ("CONDITIONING",)}}

    def combine(self, conditioning_1: Conditioning, conditioning_2: Conditioning) -> tuple[Conditioning]:
        """The entries of both."""
        return ([*conditioning_1, *conditioning_2],)


class ConditioningConcat:
    """The tokens of the second text behind those of each entry of the first."""

    RETURN_TYPES = ("CONDITIONING",)
    FUNCTION = "concat"
    CATEGORY = "conditioning"

    @classmethod
    def INPUT_TYPES(cls) -> Inputs:
        return {"required": {"conditioning_to": ("CONDITIONING",), "conditioning_from": ("CONDITIONING",)}}

    def concat(self, conditioning_to: Conditioning, conditioning_from: Conditioning) -> tuple[Conditioning]:
        """Only the first entry of `conditioning_from` is used, as in ComfyUI."""
        import torch

        tail = conditioning_from[0][0]
        return ([[torch.cat((tokens, tail), 1), dict(options)] for tokens, options in conditioning_to],)


class ConditioningAverage:
    """A mixture: `conditioning_to_strength` of the first, the rest from the second."""

    RETURN_TYPES = ("CONDITIONING",)
    FUNCTION = "addWeighted"
    CATEGORY = "conditioning"

    @classmethod
    def INPUT_TYPES(cls) -> Inputs:
        share = ("FLOAT", {"default": 1.0, "min": 0.0, "max": 1.0, "step": 0.01})
        return {
            "required": {
                "conditioning_to": ("CONDITIONING",),
                "conditioning_from": ("CONDITIONING",),
                "conditioning_to_strength": share,
            }
        }

    def addWeighted(
        self, conditioning_to: Conditioning, conditioning_from: Conditioning, conditioning_to_strength: float
    ) -> tuple[Conditioning]:
        """Only the first entry of `conditioning_from` is used; its tokens are cut or filled with zeros to
        fit."""
        share = conditioning_to_strength
        other, other_options = conditioning_from[0]
        mixed: Conditioning = []
        for tokens, options in conditioning_to:
            options = dict(options)
            pooled, other_pooled = options.get("pooled_output"), other_options.get("pooled_output")
            if pooled is not None and other_pooled is not None:
                options["pooled_output"] = pooled * share + other_pooled * (1 - share)
            mixed.append([tokens * share + _as_long(other, tokens) * (1 - share), options])
        return (mixed,)


def _as_long(tokens: Any, like: Any) -> Any:
    from torch.nn.functional import pad

    cut = tokens[:, : like.shape[1]]
    return pad(cut, (0, 0, 0, like.shape[1] - cut.shape[1]))


class ConditioningZeroOut:
    """The same conditioning with nothing in it: all numbers zero."""

    RETURN_TYPES = ("CONDITIONING",)
    FUNCTION = "zero_out"
    CATEGORY = "advanced/conditioning"

    @classmethod
    def INPUT_TYPES(cls) -> Inputs:
        return {"required": {"conditioning": ("CONDITIONING",)}}

    def zero_out(self, conditioning: Conditioning) -> tuple[Conditioning]:
        """The pooled text becomes zero too."""
        import torch

        zeroed: Conditioning = []
        for tokens, options in conditioning:
            options = dict(options)
            if options.get("pooled_output") is not None:
                options["pooled_output"] = torch.zeros_like(options["pooled_output"])
            zeroed.append([torch.zeros_like(tokens), options])
        return (zeroed,)


NODE_CLASS_MAPPINGS = {
    "CLIPTextEncode": CLIPTextEncode,
    "CLIPSetLastLayer": CLIPSetLastLayer,
    "ConditioningCombine": ConditioningCombine,
    "ConditioningConcat": ConditioningConcat,
    "ConditioningAverage": ConditioningAverage,
    "ConditioningZeroOut": ConditioningZeroOut,
}
NODE_DISPLAY_NAME_MAPPINGS = {
    "CLIPTextEncode": "CLIP Text Encode (Prompt)",
    "CLIPSetLastLayer": "CLIP Set Last Layer",
    "ConditioningCombine": "Conditioning (Combine)",
    "ConditioningConcat": "Conditioning (Concat)",
    "ConditioningAverage": "Conditioning (Average)",
    "ConditioningZeroOut": "ConditioningZeroOut",
}
