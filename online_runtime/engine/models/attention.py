"""Which code computes attention: what was asked for, what is in use, and why.

Importing this imports no torch. `configure` is called once at the engine's start; the decision is made when
the first network runs, because on a GPU it needs a measurement.
"""

from __future__ import annotations

import importlib
import importlib.util
import logging
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from . import memory

if TYPE_CHECKING:
    from torch import Tensor

_log = logging.getLogger(__name__)

CHOICES = ("auto", "sdpa", "sdpa-cudnn", "xformers", "sage")
# cuDNN's attention is the faster one on this generation of GPUs only (Hopper).
_CUDNN_CAPABILITY = (9, 0)
# What the probe computes: batch, heads, tokens of a 512-pixel picture, channels of a head.
_PROBE = (2, 8, 4096, 64)
_PROBE_RUNS = 10

# (query, key, value) [B, heads, tokens, channels] -> the same shape as query
Kernel = Callable[["Tensor", "Tensor", "Tensor"], "Tensor"]


@dataclass(frozen=True)
class Decision:
    """`ratio` is the time of torch's own attention by the chosen one's, where it was measured: above 1 the
    chosen one is faster. `effective` is None while nothing has run on a GPU."""

    requested: str
    effective: str | None
    reason: str
    ratio: float | None = None


_requested = "auto"
_without: frozenset[str] = frozenset()
_decision: Decision | None = None
_kernel: Kernel | None = None
_lock = threading.Lock()


def configure(requested: str, without: frozenset[str] = frozenset()) -> None:
    """Ask for one of CHOICES; `without` names what `auto` must not take."""
    global _requested, _without, _decision, _kernel
    _requested, _without, _decision, _kernel = requested, without, None, None


def report(gpu: bool) -> dict[str, Any]:
    """The decision, for /system_stats; makes none. `gpu`: whether networks run on one."""
    if not gpu:
        return asdict(Decision(_requested, "sdpa", "no GPU"))
    undecided = Decision(_requested, None, "not decided yet: no network has run")
    return asdict(_decision or undecided)


def used() -> AbstractContextManager[Any]:
    """A context in which attention is computed as decided."""
    with _lock:
        decision = _decided()
    if decision.effective == "sdpa-cudnn":
        from torch.nn.attention import SDPBackend, sdpa_kernel

        order = [SDPBackend.CUDNN_ATTENTION, SDPBackend.FLASH_ATTENTION, SDPBackend.EFFICIENT_ATTENTION]
        return sdpa_kernel([*order, SDPBackend.MATH], set_priority=True)
    return nullcontext() if _kernel is None else _routed(_kernel)


def _decided() -> Decision:
    global _decision, _kernel
    if _decision is None:
        if memory.device().type != "cuda":
            _decision = Decision(_requested, "sdpa", "no GPU")
        else:
            _decision, _kernel = _on_gpu()
        _log.info("Attention: %s (asked for %s): %s", _decision.effective, _requested, _decision.reason)
    return _decision


def _on_gpu() -> tuple[Decision, Kernel | None]:
    if _requested in ("sdpa", "sdpa-cudnn"):
        return Decision(_requested, _requested, "asked for"), None
    if _requested in ("xformers", "sage"):
        kernel, why = _kernel_of(_requested)
        if kernel is None:
            return Decision(_requested, "sdpa", why), None
        ratio, why = _measured(kernel)
        if ratio is None:
            return Decision(_requested, "sdpa", why), None
        return Decision(_requested, _requested, "asked for", ratio), kernel
    return _automatic()


def _automatic() -> tuple[Decision, Kernel | None]:
    import torch

    kernel, why = (None, "switched off") if "xformers" in _without else _kernel_of("xformers")
    if kernel is not None:
        ratio, why = _measured(kernel)
        if ratio is not None and ratio >= 1:
            return Decision(_requested, "xformers", why, ratio), kernel
    if torch.cuda.get_device_capability() == _CUDNN_CAPABILITY:
        return Decision(_requested, "sdpa-cudnn", f"xformers: {why}; cuDNN first on this GPU"), None
    return Decision(_requested, "sdpa", f"xformers: {why}"), None


def _kernel_of(name: str) -> tuple[Kernel | None, str]:
    """The kernel `name`, or None and the reason."""
    package = {"xformers": "xformers", "sage": "sageattention"}[name]
    if importlib.util.find_spec(package) is None:
        return None, f"{package} is not installed"
    try:
        return _xformers() if name == "xformers" else _sage()
    except (ImportError, OSError, RuntimeError, AttributeError) as error:
        return None, f"{package} cannot be loaded ({type(error).__name__}: {error})"


def _xformers() -> tuple[Kernel | None, str]:
    xformers: Any = importlib.import_module("xformers")
    ops: Any = importlib.import_module("xformers.ops")
    # Without its own library it only hands on to torch's kernels.
    if not getattr(xformers, "_has_cpp_library", False):
        return None, "its library does not load beside this torch"

    def kernel(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        parts = (part.transpose(1, 2) for part in (query, key, value))
        answer: Tensor = ops.memory_efficient_attention(*parts).transpose(1, 2)
        return answer

    return kernel, "its library loads"


def _sage() -> tuple[Kernel | None, str]:
    sageattn: Any = importlib.import_module("sageattention").sageattn

    def kernel(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        answer: Tensor = sageattn(query, key, value, tensor_layout="HND", is_causal=False)
        return answer

    return kernel, "it loads"


def _measured(kernel: Kernel) -> tuple[float | None, str]:
    """Torch's time by `kernel`'s on one attention of usual size; None, and the reason, when it fails."""
    import torch
    from torch.nn.functional import scaled_dot_product_attention

    parts = [torch.randn(_PROBE, device="cuda", dtype=torch.float16) for _ in range(3)]
    try:
        ratio = _milliseconds(scaled_dot_product_attention, parts) / _milliseconds(kernel, parts)
    except (RuntimeError, NotImplementedError, ValueError, TypeError) as error:
        return None, f"it fails here ({type(error).__name__}: {error})"
    return ratio, f"measured {ratio:.2f} times as fast as torch's own"


def _milliseconds(kernel: Callable[..., Any], parts: list[Tensor]) -> float:
    import torch

    event: Any = torch.cuda.Event
    begin, end = (event(enable_timing=True) for _ in range(2))
    for run in range(_PROBE_RUNS + 2):
        if run == 2:  # the first ones compile and choose
            begin.record()
        kernel(*parts)
    end.record()
    torch.cuda.synchronize()
    return float(begin.elapsed_time(end))


def _routed(kernel: Kernel) -> AbstractContextManager[Any]:
    """Calls of torch's attention go to `kernel`, except those with a mask or of a kind that it has not."""
    import torch
    from torch.nn.functional import scaled_dot_product_attention
    from torch.overrides import TorchFunctionMode

    class _Route(TorchFunctionMode):
        def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            named = kwargs or {}
            plain = not any(named.get(name) for name in ("is_causal", "dropout_p", "scale"))
            if func is scaled_dot_product_attention and plain and named.get("attn_mask") is None:
                query, key, value = (*args, *(named[n] for n in ("query", "key", "value") if n in named))[:3]
                if query.dtype in (torch.float16, torch.bfloat16) and query.dim() == 4:
                    return kernel(query, key, value)
            return func(*args, **named)

    return _Route()
