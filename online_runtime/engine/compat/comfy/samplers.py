"""`comfy.samplers`: the lists of names; sampling itself is the KSampler node's."""

from __future__ import annotations

from typing import Any

from ...models.offered import SAMPLERS, SCHEDULERS
from ..placeholders import placeholder

SAMPLER_NAMES: list[str] = list(SAMPLERS)
SCHEDULER_NAMES: list[str] = list(SCHEDULERS)
KSAMPLER_NAMES: list[str] = SAMPLER_NAMES
SCHEDULER_HANDLERS: dict[str, Any] = {
    name: placeholder(f"comfy.samplers.SCHEDULER_HANDLERS.{name}") for name in SCHEDULERS
}


class KSampler:
    """Only its lists of names are here."""

    SAMPLERS: list[str] = SAMPLER_NAMES
    SCHEDULERS: list[str] = SCHEDULER_NAMES

    def __init__(self, *arguments: Any, **options: Any) -> None:
        placeholder("comfy.samplers.KSampler")()


def __getattr__(name: str) -> Any:
    if name.startswith("__"):
        raise AttributeError(name)
    return placeholder(f"comfy.samplers.{name}")
