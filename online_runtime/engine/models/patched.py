"""A module with patches on its weights. The module is shared and never changed: patched weights are
copies."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call

from . import attention, memory
from .lora import Change


class Patched:
    """Calls `module` as it is, or with `changes` added to its weights. Immutable; `with_changes` gives
    another."""

    def __init__(self, module: nn.Module, changes: Mapping[str, tuple[Change, ...]] | None = None) -> None:
        self.module = module
        self.changes = dict(changes or {})
        self._copies: dict[str, Tensor] | None = None

    def with_changes(self, changes: Mapping[str, Change]) -> Patched:
        """The same module with these changes (by parameter name) on top of the present ones."""
        merged = dict(self.changes)
        for name, change in changes.items():
            merged[name] = (*merged.get(name, ()), change)
        return Patched(self.module, merged)

    @property
    def dtype(self) -> torch.dtype:
        return next(self.module.parameters()).dtype

    def __call__(self, *inputs: Any, **named: Any) -> Any:
        """The module's output; the module is placed on the device first. Raises torch.OutOfMemoryError."""
        memory.place(self.module)
        with attention.used():
            if not self.changes:
                return self.module(*inputs, **named)
            return functional_call(self.module, self._weights(), inputs, named)

    def _weights(self) -> dict[str, Tensor]:
        device = next(self.module.parameters()).device
        if self._copies is None or next(iter(self._copies.values())).device != device:
            originals = dict(self.module.named_parameters())
            self._copies = {
                name: _changed(originals[name].detach(), changes) for name, changes in self.changes.items()
            }
        return self._copies


def _changed(weight: Tensor, changes: tuple[Change, ...]) -> Tensor:
    total = weight.float()
    for change in changes:
        total = total + change.difference(total.shape).to(total.device)
    return total.to(weight.dtype)
