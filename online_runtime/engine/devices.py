"""What this machine has: memory, devices and versions, as /system_stats tells them."""

from __future__ import annotations

import importlib.metadata
import os
import sys
from pathlib import Path
from typing import Any

from . import __version__
from .models import attention
from .startup import STARTUP

COMPATIBLE_WITH = "0.3.64"  # the ComfyUI whose API this engine follows; clients compare it

Device = dict[str, Any]


def system_stats(cpu_only: bool) -> dict[str, Any]:
    """The answer to /system_stats. May import torch where CUDA is possible: not on the event loop."""
    total, free = main_memory()
    torch = _version("torch")
    gpu = _cuda_is_possible(cpu_only, torch)
    return {
        "system": {
            "os": os.name if os.name != "posix" else sys.platform,
            "ram_total": total,
            "ram_free": free,
            "comfyui_version": COMPATIBLE_WITH,
            "required_frontend_version": _version("comfyui_frontend_package") or "",
            "installed_templates_version": _version("comfyui-workflow-templates") or "",
            "required_templates_version": "",
            "python_version": sys.version,
            "pytorch_version": torch or "none",
            "embedded_python": False,
            "argv": [Path(sys.argv[0]).name, *sys.argv[1:]],
            "engine": f"stillframe-builtin {__version__}",
        },
        "devices": _cuda_devices() if gpu else [_cpu(total, free)],
        "attention": attention.report(gpu),
        "startup": STARTUP.as_json(),
    }


def main_memory() -> tuple[int, int]:
    """Total and available main memory in bytes; zeros where the system does not tell."""
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
        facts = {name: int(rest.split()[0]) * 1024 for name, _, rest in (x.partition(":") for x in lines)}
        return facts["MemTotal"], facts["MemAvailable"]
    except (OSError, KeyError, ValueError):
        names = os.sysconf_names
        if "SC_PHYS_PAGES" not in names:
            return 0, 0
        total = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
        return total, total


def _cpu(total: int, free: int) -> Device:
    return {
        "name": "cpu",
        "type": "cpu",
        "index": None,
        "vram_total": total,
        "vram_free": free,
        "torch_vram_total": total,
        "torch_vram_free": free,
    }


def _cuda_is_possible(cpu_only: bool, torch: str | None) -> bool:
    """Told without importing torch, which takes seconds, wherever the answer is clearly no."""
    return not cpu_only and torch is not None and not torch.endswith("+cpu") and _cuda_is_available()


def _cuda_is_available() -> bool:
    import torch

    return bool(torch.cuda.is_available())


def _cuda_devices() -> list[Device]:
    import torch

    devices = []
    for index in range(torch.cuda.device_count()):
        free, total = torch.cuda.mem_get_info(index)
        reserved = torch.cuda.memory_reserved(index)
        devices.append(
            {
                "name": f"cuda:{index} {torch.cuda.get_device_name(index)}",
                "type": "cuda",
                "index": index,
                "vram_total": total,
                "vram_free": free,
                "torch_vram_total": reserved,
                "torch_vram_free": reserved - torch.cuda.memory_allocated(index),
            }
        )
    return devices


def _version(distribution: str) -> str | None:
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return None
