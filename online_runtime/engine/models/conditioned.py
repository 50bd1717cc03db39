"""Conditioning, as nodes make it, checked and made ready for one sampling run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from .control import ControlUse
from .diffusion import DiffusionModel, for_each
from .errors import ConditioningUnusable

Conditioning = Sequence[tuple[Tensor, Mapping[str, Any]]]

_KNOWN = frozenset({
    "pooled_output", "strength", "width", "height", "crop_w", "crop_h", "target_width", "target_height",
    "area", "set_area_to_bounds", "mask", "mask_strength", "start_percent", "end_percent",
    "control", "control_apply_to_uncond",
    "motion_bucket_id", "fps", "augmentation_level", "concat_latent_image",
})  # fmt: skip
# An area's weight rises over so many latent cells from its inner edges, so that no seam shows.
_SOFT_CELLS = 8


@dataclass(frozen=True)
class Area:
    """A rectangle of latent cells."""

    top: int
    left: int
    height: int
    width: int

    def of(self, tensor: Tensor, cell: int = 1) -> Tensor:
        """This part of `tensor` [..., H, W] with `cell` values a latent cell."""
        rows = slice(self.top * cell, (self.top + self.height) * cell)
        return tensor[..., rows, self.left * cell : (self.left + self.width) * cell]


@dataclass(frozen=True)
class Entry:
    """One text for every picture of the batch. `context` [B, tokens, width]; `weight` [B or 1, 1, h, w] is
    how much it counts in each place of its `area`; used at levels from `begins` down to `ends`."""

    context: Tensor
    added: dict[str, Tensor]
    weight: Tensor
    area: Area
    begins: float
    ends: float
    control: ControlUse | None

    def is_used(self, sigma: float) -> bool:
        """Whether it counts at level `sigma`."""
        return self.ends <= sigma <= self.begins

    def goes_with(self, other: Entry) -> bool:
        """Whether both can run in one pass: one pass is faster than two."""
        same = self.context.shape == other.context.shape and self.control is other.control
        return same and self.area == other.area


def entries_of(model: DiffusionModel, conditioning: Conditioning, which: str, latent: Tensor) -> list[Entry]:
    """What is to be asked of `model` for `latent` [B, 4, h, w]. Raises ConditioningUnusable at once for what
    cannot be honoured, not in the middle of a run."""
    if not conditioning:
        raise ConditioningUnusable(f"the {which} conditioning is empty")
    return [_entry(model, context, options, which, latent) for context, options in conditioning]


def sharing_control(
    positive: Sequence[Entry], conditioning: Conditioning, others: list[Entry]
) -> list[Entry]:
    """`others` (the negative) with the positive's ControlNet, where the node asked for that."""
    shared = [
        entry.control
        for entry, (_, options) in zip(positive, conditioning, strict=True)
        if entry.control is not None and options.get("control_apply_to_uncond")
    ]
    if not shared:
        return others
    return [entry if entry.control else replace(entry, control=shared[0]) for entry in others]


def _entry(
    model: DiffusionModel, context: Tensor, options: Mapping[str, Any], which: str, latent: Tensor
) -> Entry:
    if unknown := sorted(set(options) - _KNOWN):
        raise ConditioningUnusable(f"the builtin engine does not know its {', '.join(unknown)}")
    if context.shape[-1] != model.shape.context_width:
        raise ConditioningUnusable(
            f"the {which} text has width {context.shape[-1]}, the model takes {model.shape.context_width}; "
            "text encoder and model are of different families"
        )
    area = _area(options, latent)
    control = options.get("control")
    return Entry(
        context=for_each(context, latent.shape[0]),
        added=model.added(options, latent),
        weight=_weight(options, area, latent),
        area=area,
        begins=_level(model, options.get("start_percent", 0.0)),
        ends=_level(model, options.get("end_percent", 1.0)),
        control=control.fitted(model, latent, area) if control is not None else None,
    )


def _level(model: DiffusionModel, share: float) -> float:
    """The noise level after `share` of the trained time."""
    if share <= 0:
        return float("inf")
    if share >= 1:
        return 0.0
    return model.noise.level_after(share)


def _area(options: Mapping[str, Any], latent: Tensor) -> Area:
    rows, columns = latent.shape[2:]
    if (given := options.get("area")) is not None:
        if given[0] == "percentage":
            sizes = (rows, columns, rows, columns)
            given = tuple(round(part * size) for part, size in zip(given[1:], sizes, strict=True))
        height, width, top, left = given
        area = Area(top, left, min(max(1, height), rows - top), min(max(1, width), columns - left))
        if area.height < 1 or area.width < 1 or top < 0 or left < 0:
            raise ConditioningUnusable(
                f"its area begins at {left * 8},{top * 8} pixels, outside of the picture"
            )
        return area
    if options.get("mask") is not None and options.get("set_area_to_bounds"):
        return _bounds(_mask(options["mask"], latent))
    return Area(0, 0, rows, columns)


def _bounds(mask: Tensor) -> Area:
    """The smallest area that holds all of `mask` [B, 1, h, w], at least a few cells a side."""
    rows, columns = mask.amax(dim=(0, 1)).nonzero(as_tuple=True)
    if not len(rows):
        return Area(0, 0, mask.shape[2], mask.shape[3])
    top, left = int(rows.min()), int(columns.min())
    height = min(max(int(rows.max()) - top + 1, _SOFT_CELLS), mask.shape[2])
    width = min(max(int(columns.max()) - left + 1, _SOFT_CELLS), mask.shape[3])
    return Area(min(top, mask.shape[2] - height), min(left, mask.shape[3] - width), height, width)


def _weight(options: Mapping[str, Any], area: Area, latent: Tensor) -> Tensor:
    weight = torch.full((1, 1, area.height, area.width), float(options.get("strength", 1.0)))
    if (mask := options.get("mask")) is not None:
        return weight * area.of(_mask(mask, latent)) * float(options.get("mask_strength", 1.0))
    for axis, before, after, length in (
        (2, area.top, latent.shape[2] - area.top - area.height, area.height),
        (3, area.left, latent.shape[3] - area.left - area.width, area.width),
    ):
        weight = weight * _soft_ends(before > 0, after > 0, length).reshape(
            [-1 if i == axis else 1 for i in range(4)]
        )
    return weight


def _soft_ends(before: bool, after: bool, length: int) -> Tensor:
    """Weights along one side of an area: rising from an end that lies within the picture."""
    weights = torch.ones(length)
    soft = min(_SOFT_CELLS, length // 4)
    ramp = (torch.arange(soft) + 1) / soft if soft else torch.ones(0)
    if before:
        weights[:soft] *= ramp
    if after:
        weights[length - soft :] *= ramp.flip(0)
    return weights


def _mask(mask: Tensor, latent: Tensor) -> Tensor:
    planes = mask.float().reshape(-1, 1, mask.shape[-2], mask.shape[-1])
    fitted = torch.nn.functional.interpolate(planes, size=latent.shape[2:], mode="bilinear")
    return for_each(fitted, latent.shape[0]) if fitted.shape[0] > 1 else fitted
