"""The GPUs of this machine, as the driver's own library (NVML) tells of them."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import Any, Protocol

from publisher.errors import GpusUnreadable

ANSWER_LIMIT_SECONDS = 10.0  # it takes a second where it works; a hung driver must not hang a deployment


@dataclass(frozen=True)
class Gpu:
    """One card. `index` is its place on the PCI bus, as CUDA_VISIBLE_DEVICES is given to engines."""

    index: int
    uuid: str
    name: str
    memory_bytes: int
    driver: str


class GpuReader(Protocol):
    """Who knows the GPUs. One contract suite runs on each reader."""

    def read(self) -> tuple[Gpu, ...]:
        """All cards in the order of their index; none where there is no driver. Raises GpusUnreadable."""


class NvmlReader:
    """NVML itself. `library` is the module to call, for machines without a card."""

    def __init__(self, library: Any = None, limit_seconds: float = ANSWER_LIMIT_SECONDS) -> None:
        self._library, self._limit_seconds = library, limit_seconds

    def read(self) -> tuple[Gpu, ...]:
        """Raises GpusUnreadable when the library is there and does not answer as it should."""
        found: list[tuple[Gpu, ...]] = []
        failed: list[Exception] = []

        def ask() -> None:
            try:
                found.append(self._cards())
            except Exception as problem:  # noqa: BLE001 - carried over to the caller's thread
                failed.append(problem)

        thread = threading.Thread(target=ask, name="nvml", daemon=True)
        thread.start()
        thread.join(self._limit_seconds)
        if thread.is_alive():
            raise GpusUnreadable(f"it did not answer within {self._limit_seconds:g} s")
        if failed:
            raise GpusUnreadable(f"{type(failed[0]).__name__}: {failed[0]}") from failed[0]
        return found[0]

    def _cards(self) -> tuple[Gpu, ...]:
        if self._library is None:
            import pynvml  # type: ignore[import-untyped]  # it has no types

            self._library = pynvml
        nvml = self._library
        try:
            nvml.nvmlInit()
        except (nvml.NVMLError_LibraryNotFound, nvml.NVMLError_DriverNotLoaded):
            return ()  # a machine without NVIDIA's driver has none
        try:
            driver = nvml.nvmlSystemGetDriverVersion()
            return tuple(self._card(index, driver) for index in range(nvml.nvmlDeviceGetCount()))
        finally:
            nvml.nvmlShutdown()

    def _card(self, index: int, driver: str) -> Gpu:
        nvml = self._library
        handle = nvml.nvmlDeviceGetHandleByIndex(index)
        return Gpu(
            index,
            nvml.nvmlDeviceGetUUID(handle),
            nvml.nvmlDeviceGetName(handle),
            int(nvml.nvmlDeviceGetMemoryInfo(handle).total),
            driver,
        )
