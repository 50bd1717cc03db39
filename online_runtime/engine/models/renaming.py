"""Tensor names of checkpoint files against those of diffusers: tables of module prefixes, used in both
directions."""

from __future__ import annotations

from collections.abc import Mapping

Prefixes = Mapping[str, str]


def renamed(name: str, prefixes: Prefixes) -> str | None:
    """`name` with its longest prefix (whole dotted parts) replaced; None when no prefix fits."""
    parts = name.split(".")
    for count in range(len(parts), 0, -1):
        if (new := prefixes.get(".".join(parts[:count]))) is not None:
            return ".".join([new, *parts[count:]])
    return None


def inverted(prefixes: Prefixes) -> dict[str, str]:
    """The table for the way back."""
    return {new: old for old, new in prefixes.items()}
