"""The machine that a snapshot was frozen on: what decides whether it can run elsewhere."""

from __future__ import annotations

import ctypes
import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import psutil

NVIDIA_SMI_SECONDS = (
    10.0  # A machine whose driver is wedged must not hold up a freeze; a healthy one answers in 1 s.
)
_GPU_FIELDS = ("index", "name", "uuid", "memory.total", "driver_version")


def machine_facts() -> dict[str, Any]:
    """This program's Python build, platform, processor, memory and GPUs, ready for a manifest.

    Never raises: what failed is named in it.
    """
    return {
        "name": platform.node(),
        "python": {
            "version": platform.python_version(),
            "implementation": platform.python_implementation(),
            "build": " ".join(platform.python_build()),
            "compiler": platform.python_compiler(),
            "cache_tag": sys.implementation.cache_tag,
        },
        "platform": {
            "system": platform.system(),
            "release": platform.release(),
            "machine": platform.machine(),
            "libc": " ".join(platform.libc_ver()).strip(),
            "distribution": _distribution(),
        },
        "processor": {"model": _processor_model(), "cores": os.cpu_count()},
        "memory_bytes": psutil.virtual_memory().total,
        "nvidia": nvidia_facts(),
    }


def _distribution() -> str:
    try:
        return platform.freedesktop_os_release().get("PRETTY_NAME", "")
    except OSError:
        return ""


def _processor_model() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "")


def nvidia_facts() -> dict[str, Any]:
    """GPUs with name, uuid, memory in MiB and driver, and the CUDA version that the driver offers.

    `problem` says what failed.
    """
    program = shutil.which("nvidia-smi")
    if program is None:
        return {"gpus": [], "cuda": None}
    command = [program, f"--query-gpu={','.join(_GPU_FIELDS)}", "--format=csv,noheader,nounits"]
    try:
        answer = subprocess.run(
            command, capture_output=True, text=True, timeout=NVIDIA_SMI_SECONDS, check=True
        )
    except (OSError, subprocess.SubprocessError) as error:
        return {"gpus": [], "cuda": driver_cuda(), "problem": f"nvidia-smi failed: {error}"}
    gpus = [_gpu(line) for line in answer.stdout.splitlines() if line.strip()]
    return {"gpus": gpus, "cuda": driver_cuda()}


def driver_cuda(library: str = "libcuda.so.1") -> str | None:
    """The newest CUDA version that the installed driver runs, like "12.8"; None without a driver.

    The call only reads a number out of the library: no device is opened or woken.
    """
    found = ctypes.c_int()
    try:
        if ctypes.CDLL(library).cuDriverGetVersion(ctypes.byref(found)) != 0:
            return None
    except (OSError, AttributeError):
        return None
    return f"{found.value // 1000}.{found.value % 1000 // 10}"


def _gpu(line: str) -> dict[str, str]:
    return dict(zip(_GPU_FIELDS, (value.strip() for value in line.split(",")), strict=False))
