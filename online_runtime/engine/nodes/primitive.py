"""Nodes that hand on one value of a plain type."""

from __future__ import annotations

import sys
from typing import Any

from .inputs import Input, Inputs


class _Primitive:
    """One input `value`, handed on."""

    FUNCTION = "execute"
    CATEGORY = "utils/primitive"
    VALUE: Input

    @classmethod
    def INPUT_TYPES(cls) -> Inputs:
        return {"required": {"value": cls.VALUE}}

    def execute(self, value: Any) -> tuple[Any]:
        """The value itself."""
        return (value,)


class PrimitiveInt(_Primitive):
    """A whole number."""

    RETURN_TYPES = ("INT",)
    VALUE = ("INT", {"min": -sys.maxsize, "max": sys.maxsize, "control_after_generate": True})


class PrimitiveFloat(_Primitive):
    """A number."""

    RETURN_TYPES = ("FLOAT",)
    VALUE = ("FLOAT", {"min": -float(sys.maxsize), "max": float(sys.maxsize), "step": 0.1})


class PrimitiveString(_Primitive):
    """A text of one line."""

    RETURN_TYPES = ("STRING",)
    VALUE = ("STRING", {})


class PrimitiveStringMultiline(_Primitive):
    """A text of several lines."""

    RETURN_TYPES = ("STRING",)
    VALUE = ("STRING", {"multiline": True})


class PrimitiveBoolean(_Primitive):
    """Yes or no."""

    RETURN_TYPES = ("BOOLEAN",)
    VALUE = ("BOOLEAN", {})


NODE_CLASS_MAPPINGS = {
    "PrimitiveInt": PrimitiveInt,
    "PrimitiveFloat": PrimitiveFloat,
    "PrimitiveString": PrimitiveString,
    "PrimitiveStringMultiline": PrimitiveStringMultiline,
    "PrimitiveBoolean": PrimitiveBoolean,
}
NODE_DISPLAY_NAME_MAPPINGS = {
    "PrimitiveInt": "Int",
    "PrimitiveFloat": "Float",
    "PrimitiveString": "String",
    "PrimitiveStringMultiline": "String (Multiline)",
    "PrimitiveBoolean": "Boolean",
}
