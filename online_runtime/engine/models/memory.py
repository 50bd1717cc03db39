"""Where weights are: the one place that chooses device and number format, keeps what was loaded, and lets go
of it.

Importing this imports no torch. `configure` is called once at the engine's start, `free` for `/free`.
"""

from __future__ import annotations

import gc
import logging
import sys
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar
from weakref import WeakSet

if TYPE_CHECKING:
    import torch

_log = logging.getLogger(__name__)
T = TypeVar("T")

# How many files of each part stay loaded: checkpoints are gigabytes, enough for two workflows in turn;
# a LoRA is small, and a workflow may stack many.
KEPT_FILES = {
    "checkpoint": 2, "video": 1, "vae": 2, "vision": 1, "controlnet": 2, "upscaler": 2,
    "lora": 16, "embedding": 32,
}  # fmt: skip


@dataclass(frozen=True)
class Stamp:
    """One state of one part of a file; another stamp means that it has to be read again."""

    path: Path
    part: str
    size_bytes: int
    mtime_ns: int


_cpu_only = False
_loaded: OrderedDict[Stamp, object] = OrderedDict()
_placed: WeakSet[torch.nn.Module] = WeakSet()


def configure(cpu: bool) -> None:
    """Use the CPU even where there is a GPU (`--cpu`)."""
    global _cpu_only
    _cpu_only = cpu


def device() -> torch.device:
    """Where weights are used: the first visible CUDA device unless told otherwise, else the CPU."""
    import torch

    return torch.device("cuda" if not _cpu_only and torch.cuda.is_available() else "cpu")


def weights_dtype() -> torch.dtype:
    """Number format of UNets and text encoders: half precision on a GPU, float32 on the CPU."""
    import torch

    return torch.float16 if device().type == "cuda" else torch.float32


def vae_dtype() -> torch.dtype:
    """Number format of VAEs. Never float16: SDXL's VAE overflows in it and gives black pictures."""
    import torch

    if device().type == "cuda" and torch.cuda.is_bf16_supported():
        return torch.bfloat16
    return torch.float32


def loaded(path: Path, part: str, load: Callable[[], T]) -> T:
    """What `load` made of `part` of `path`: once for each state of the file (path, size, time of change)."""
    stat = path.stat()
    stamp = Stamp(path.resolve(), part, stat.st_size, stat.st_mtime_ns)
    if stamp not in _loaded:
        for old in [s for s in _loaded if (s.path, s.part) == (stamp.path, part)]:
            del _loaded[old]
        with dropping_when_full(), _ordinary_tensors():
            _loaded[stamp] = load()
    _loaded.move_to_end(stamp)
    for oldest in [s for s in _loaded if s.part == part][: -KEPT_FILES[part]]:
        del _loaded[oldest]
    return _loaded[stamp]  # type: ignore[return-value]  # the stamp's part fixes the type that load gives


def place(module: torch.nn.Module) -> torch.nn.Module:
    """`module` on the device. When it has no room, all others move to the CPU first; then out of memory is
    raised."""
    import torch

    target = device()
    if target.type != "cpu" and next(module.parameters()).device.type != target.type:
        with _ordinary_tensors():
            try:
                module.to(target)
            except torch.OutOfMemoryError:
                _log.warning("No room on %s: moving other weights to the CPU", target)
                _unplace(keep=module)
                module.to(target)
        _placed.add(module)
    return module


def free(unload: bool) -> None:
    """Give unused memory back; with `unload`, also forget all loaded weights. They load again when needed."""
    if unload:
        _loaded.clear()
        _unplace(keep=None)
    gc.collect()
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available():
        torch.cuda.empty_cache()


@contextmanager
def dropping_when_full() -> Iterator[None]:
    """Run the block; when it runs out of memory, forget all weights so that the next prompt has room, and
    re-raise."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if _is_out_of_memory(error):
            free(unload=True)
        raise


@contextmanager
def _ordinary_tensors() -> Iterator[None]:
    """Weights outlive the prompt that loads them, so the inference mode of prompts must not mark them."""
    import torch

    with torch.inference_mode(False), torch.no_grad():
        yield


def _is_out_of_memory(error: BaseException) -> bool:
    import torch

    # torch has no class of its own for the CPU allocator's failure.
    return isinstance(error, (MemoryError, torch.OutOfMemoryError)) or "can't allocate memory" in str(error)


def _unplace(keep: torch.nn.Module | None) -> None:
    for module in list(_placed):
        if module is not keep:
            module.to("cpu")
            _placed.discard(module)
    gc.collect()
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available():
        torch.cuda.empty_cache()
