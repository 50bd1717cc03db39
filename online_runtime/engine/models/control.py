"""The CONTROL_NET object: a copy of a UNet's first half that steers it by a picture."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from accelerate import init_empty_weights
from torch import Tensor

from . import memory
from .control_shape import ControlShape, read_control_shape
from .errors import ConditioningUnusable, UnknownFamily
from .filling import filled, tensors_below
from .networks import new_control_net
from .patched import Patched
from .single_file import read_header

if TYPE_CHECKING:
    from .conditioned import Area
    from .diffusion import DiffusionModel

# A ControlNet's picture has the size of the result: eight pixels a latent cell.
_CELL = 8


@dataclass(frozen=True)
class ControlNet:
    """What a node calls CONTROL_NET."""

    shape: ControlShape
    network: Patched


def load_control_net(path: Path) -> ControlNet:
    """The ControlNet in the file `path`, in a checkpoint's layout or diffusers'. Raises WeightsError."""
    return memory.loaded(path, "controlnet", lambda: _load(path))


def _load(path: Path) -> ControlNet:
    header = read_header(path)
    try:
        shape = read_control_shape(header.shapes)
    except ValueError as error:
        raise UnknownFamily(path, str(error)) from error
    with init_empty_weights(include_buffers=False):
        empty = new_control_net(shape.diffusers())
    tensors = shape.named_for_diffusers(tensors_below(header, shape.prefix))
    return ControlNet(shape, Patched(filled(empty, tensors, memory.weights_dtype(), path, "ControlNet")))


@dataclass(frozen=True, eq=False)
class ControlUse:
    """A ControlNet with its picture [B, 3, H, W] in 0..1, as a conditioning carries it. `before` is one that
    was applied before; both steer."""

    net: ControlNet
    picture: Tensor
    strength: float
    begins_at: float = 0.0
    ends_at: float = 1.0
    before: ControlUse | None = None
    begins: float = float("inf")
    ends: float = 0.0

    def is_used(self, sigma: float) -> bool:
        """Whether it, or one before it, steers at level `sigma`."""
        return self.ends <= sigma <= self.begins or (self.before is not None and self.before.is_used(sigma))

    def fitted(self, model: DiffusionModel, latent: Tensor, area: Area) -> ControlUse:
        """This for one run: its picture in the size of `area` of `latent`, its shares of time as levels.

        Raises ConditioningUnusable when it is of another family than `model`.
        """
        theirs, ours = model.shape.context_width, self.net.shape.unet.context_width
        if theirs != ours:
            raise ConditioningUnusable(
                f"the ControlNet takes a text of width {ours}, the model one of {theirs}; "
                "they are of different families"
            )
        size = (latent.shape[2] * _CELL, latent.shape[3] * _CELL)
        picture = torch.nn.functional.interpolate(self.picture[:, :3].float(), size=size, mode="bilinear")
        repeats = -(-latent.shape[0] // picture.shape[0])
        return replace(
            self,
            picture=area.of(picture.repeat(repeats, 1, 1, 1)[: latent.shape[0]], _CELL),
            before=self.before.fitted(model, latent, area) if self.before else None,
            begins=float("inf") if self.begins_at <= 0 else model.noise.level_after(self.begins_at),
            ends=0.0 if self.ends_at >= 1 else model.noise.level_after(self.ends_at),
        )

    def residuals(self, inputs: Mapping[str, Any], runs: int, sigma: float) -> dict[str, Any]:
        """What the UNet adds on its way, for its own `inputs` of `runs` batches at level `sigma`."""
        own: dict[str, Any] = {}
        if self.ends <= sigma <= self.begins:
            sample = inputs["sample"]
            picture = self.picture.repeat(runs, 1, 1, 1).to(sample.device, sample.dtype)
            down, middle = self.net.network(
                **inputs, controlnet_cond=picture, conditioning_scale=self.strength
            )
            own = {"down_block_additional_residuals": down, "mid_block_additional_residual": middle}
        others = self.before.residuals(inputs, runs, sigma) if self.before else {}
        return _together(own, others)


def _together(one: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    if not one or not other:
        return one or other
    down = "down_block_additional_residuals"
    middle = "mid_block_additional_residual"
    return {
        down: [a + b for a, b in zip(one[down], other[down], strict=True)],
        middle: one[middle] + other[middle],
    }
