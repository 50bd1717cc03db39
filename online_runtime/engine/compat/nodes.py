"""`nodes`: the engine's own node classes, for plugins that subclass or call them."""

from __future__ import annotations

from typing import Any

from ..nodes.sampling import KSampler, KSamplerAdvanced
from ..registry import BUILTIN, NodeRegistry
from . import placeholders
from .comfy.model_management import interrupt_current_processing, throw_exception_if_processing_interrupted

MAX_RESOLUTION = 16384  # ComfyUI's largest side of a picture
NODE_CLASS_MAPPINGS: dict[str, Any] = {}
NODE_DISPLAY_NAME_MAPPINGS: dict[str, str] = {}
EXTENSION_WEB_DIRS: dict[str, Any] = {}

# Classes of ComfyUI's own `nodes` that this engine does not have; they import as placeholders.
_COMFYUI_ONLY = """
    CLIPLoader CheckpointLoader ConditioningSetAreaStrength DiffControlNetLoader DiffusersLoader
    DualCLIPLoader GLIGENLoader GLIGENTextBoxApply InpaintModelConditioning LoadImageOutput LoadLatent
    SaveLatent StyleModelApply StyleModelLoader UNETLoader unCLIPCheckpointLoader unCLIPConditioning
"""
COMFYUI_ONLY = frozenset(_COMFYUI_ONLY.split())


def fill(registry: NodeRegistry) -> None:
    """Show all classes of `registry`, those that plugins add later too."""
    global NODE_CLASS_MAPPINGS, NODE_DISPLAY_NAME_MAPPINGS, EXTENSION_WEB_DIRS
    NODE_CLASS_MAPPINGS = registry.classes
    NODE_DISPLAY_NAME_MAPPINGS = registry.display_names
    EXTENSION_WEB_DIRS = registry.web_directories
    for name, node_class in registry.classes.items():
        if registry.modules[name] == BUILTIN:
            globals()[node_class.__name__] = node_class


def before_node_execution() -> None:
    """Raise InterruptProcessingException when the prompt was asked to stop."""
    throw_exception_if_processing_interrupted()


def interrupt_processing(value: bool = True) -> None:
    """Ask the running prompt to stop."""
    interrupt_current_processing(value)


def common_ksampler(
    model: Any,
    seed: int,
    steps: int,
    cfg: float,
    sampler_name: str,
    scheduler: str,
    positive: Any,
    negative: Any,
    latent: dict[str, Any],
    denoise: float = 1.0,
    disable_noise: bool = False,
    start_step: int | None = None,
    last_step: int | None = None,
    force_full_denoise: bool = False,
) -> tuple[dict[str, Any]]:
    """KSampler as a function; with steps to begin or to end at, KSamplerAdvanced."""
    if start_step is None and last_step is None and not disable_noise:
        return KSampler().sample(
            model, seed, steps, cfg, sampler_name, scheduler, positive, negative, latent, denoise
        )
    return KSamplerAdvanced().sample(
        model,
        "disable" if disable_noise else "enable",
        seed,
        steps,
        cfg,
        sampler_name,
        scheduler,
        positive,
        negative,
        latent,
        start_step or 0,
        steps if last_step is None else last_step,
        "disable" if force_full_denoise else "enable",
    )


def __getattr__(name: str) -> Any:
    # Not for any name: packs ask by `hasattr` whether another pack has put something here.
    if name in COMFYUI_ONLY:
        return placeholders.placeholder(f"nodes.{name}")
    raise AttributeError(f"module 'nodes' has no attribute {name!r}")
