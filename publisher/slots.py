"""Slots: the places where an instance can run. One per GPU; on a machine without one, a few on the CPU."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from publisher.gpus import GpuReader, NvmlReader
from publisher.settings import Settings


@dataclass(frozen=True)
class Slot:
    """One place. `gpu` is a CUDA device index, None for a CPU slot; the rest is what its driver tells."""

    number: int
    gpu: int | None
    name: str | None = None
    memory_bytes: int | None = None
    driver: str | None = None


@dataclass(frozen=True)
class HeldSlot(Slot):
    """A slot, and the live instance in it."""

    holder: str | None = None


def detect_slots(settings: Settings, reader: GpuReader | None = None) -> tuple[Slot, ...]:
    """The slots of this machine. Raises GpusUnreadable.

    More slots than GPUs, which only the setting can ask for, share GPUs in turn.
    """
    gpus = (reader or NvmlReader()).read()
    count = settings.slots if settings.slots is not None else len(gpus) or settings.cpu_slots
    if not gpus:
        return tuple(Slot(number, None) for number in range(count))
    shared = (gpus[number % len(gpus)] for number in range(count))
    return tuple(
        Slot(number, gpu.index, gpu.name, gpu.memory_bytes, gpu.driver) for number, gpu in enumerate(shared)
    )


def with_holders(slots: tuple[Slot, ...], holders: Mapping[int, str]) -> tuple[HeldSlot, ...]:
    """Each slot with the id of the instance in it."""
    return tuple(
        HeldSlot(one.number, one.gpu, one.name, one.memory_bytes, one.driver, holders.get(one.number))
        for one in slots
    )
