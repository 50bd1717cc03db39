"""Tensors of a file into a network that is still without any."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from .errors import WeightsIncomplete
from .families import VAE as VAE_PREFIX
from .renaming import renamed
from .single_file import Header, read_tensors

_log = logging.getLogger(__name__)

# Kept in checkpoints for training, never used for pictures.
_IGNORED = frozenset({"position_ids", "embeddings.position_ids", "logit_scale"})


def tensors_below(header: Header, prefix: str) -> dict[str, Tensor]:
    """The tensors of the file whose names start with `prefix`, without it. Raises NotSafetensors."""
    names = [name for name in header.shapes if name.startswith(prefix)]
    return {name[len(prefix) :]: tensor for name, tensor in read_tensors(header.path, names).items()}


def renamed_tensors(header: Header, prefix: str, prefixes: Mapping[str, str]) -> dict[str, Tensor]:
    """The same under diffusers' names, by a table of `prefixes`; what has no use is told in the log."""
    tensors: dict[str, Tensor] = {}
    for name, tensor in tensors_below(header, prefix).items():
        if (new := renamed(name, prefixes)) is not None:
            tensors[new] = tensor
        elif not prefix.startswith(VAE_PREFIX) or not name.startswith("loss."):
            _log.warning(
                "%s: the tensor %s%s is of no known use and left out", header.path.name, prefix, name
            )
    return tensors


def filled(
    empty: nn.Module, tensors: Mapping[str, Tensor], dtype: torch.dtype, path: Path, part: str
) -> nn.Module:
    """`empty` with its weights from `tensors`, ready for use. Raises WeightsIncomplete."""
    fitting: dict[str, Any] = {}
    bad: list[str] = []
    for name, wanted in empty.state_dict().items():
        tensor = tensors.get(name)
        # Attention is written as 1x1 convolutions in one layout and as matrices in the other: the same
        # numbers.
        if tensor is None or _without_ones(tensor.shape) != _without_ones(wanted.shape):
            bad.append(name)
        else:
            fitting[name] = tensor.reshape(wanted.shape).to(dtype)
    if bad:
        raise WeightsIncomplete(path, part, bad)
    if extra := [name for name in tensors if name not in fitting and name not in _IGNORED]:
        _log.warning("%s: %d tensors of the %s are left out, as %s", path.name, len(extra), part, extra[0])
    empty.load_state_dict(fitting, assign=True)
    return empty.eval().requires_grad_(False)


def _without_ones(shape: torch.Size) -> list[int]:
    return [side for side in shape if side != 1]
