"""Slots: the places where an instance can run. One per GPU; on a machine without one, a few on the CPU."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass

from publisher.settings import Settings

NVIDIA_SMI_TIMEOUT_SECONDS = 10.0  # it takes 1 s where it works; a hung driver must not hang a deployment


@dataclass(frozen=True)
class Slot:
    """One place. `gpu` is a CUDA device index, None for a CPU slot."""

    number: int
    gpu: int | None


def detect_slots(settings: Settings) -> tuple[Slot, ...]:
    """The slots of this machine.

    More slots than GPUs, which only the setting can ask for, share GPUs in turn.
    """
    gpus = count_gpus()
    count = settings.slots if settings.slots is not None else gpus or settings.cpu_slots
    return tuple(Slot(number, number % gpus if gpus else None) for number in range(count))


def count_gpus() -> int:
    """How many GPUs nvidia-smi lists; 0 where there is no such program or its driver does not answer."""
    # Looked up first: trying a folder of PATH that may not be read raises PermissionError.
    program = shutil.which("nvidia-smi")
    if program is None:
        return 0
    try:
        listed = subprocess.run(
            [program, "-L"],
            capture_output=True,
            text=True,
            timeout=NVIDIA_SMI_TIMEOUT_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return 0
    return (
        sum(line.startswith("GPU ") for line in listed.stdout.splitlines()) if listed.returncode == 0 else 0
    )
