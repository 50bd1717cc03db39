"""The machine that a snapshot was frozen on: what decides whether it can run elsewhere."""

from __future__ import annotations

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
    """Python build, platform, processor, memory and GPUs, ready for a manifest.

    Never raises: what failed is named in it.
    """
    return {
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
        },
        "processor": {"model": _processor_model(), "cores": os.cpu_count()},
        "memory_bytes": psutil.virtual_memory().total,
        "nvidia": nvidia_facts(),
    }


def _processor_model() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "")


def nvidia_facts() -> dict[str, Any]:
    """`{"gpus": [...]}` with name, uuid, memory in MiB and driver; `problem` says what failed."""
    program = shutil.which("nvidia-smi")
    if program is None:
        return {"gpus": []}
    command = [program, f"--query-gpu={','.join(_GPU_FIELDS)}", "--format=csv,noheader,nounits"]
    try:
        answer = subprocess.run(
            command, capture_output=True, text=True, timeout=NVIDIA_SMI_SECONDS, check=True
        )
    except (OSError, subprocess.SubprocessError) as error:
        return {"gpus": [], "problem": f"nvidia-smi failed: {error}"}
    return {"gpus": [_gpu(line) for line in answer.stdout.splitlines() if line.strip()]}


def _gpu(line: str) -> dict[str, str]:
    return dict(zip(_GPU_FIELDS, (value.strip() for value in line.split(",")), strict=False))
