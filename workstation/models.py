"""The shared models folder: what lies there, and what a workflow misses."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from workstation.layout import Home
from workstation.workflows import MissingModel, Workflow
from workstation.workflows import missing_models as missing_in

# ComfyUI's folder names, and what lies in each.
KINDS: dict[str, str] = {
    "audio_encoders": "audio encoders, for speech-driven video",
    "checkpoints": "whole models in one file: diffusion model, text encoder and VAE",
    "clip": "text encoders (older name of text_encoders)",
    "clip_vision": "image encoders, for image prompts and style models",
    "configs": "model configurations that came with old checkpoints",
    "controlnet": "ControlNet and T2I adapters",
    "diffusers": "models as diffusers folders",
    "diffusion_models": "diffusion models alone, without text encoder and VAE",
    "embeddings": "textual inversions, named in prompts as embedding:NAME",
    "gligen": "GLIGEN models, for text in boxes",
    "hypernetworks": "hypernetworks",
    "latent_upscale_models": "upscalers that work on latents",
    "loras": "LoRA patches for diffusion models and text encoders",
    "model_patches": "patches of diffusion models",
    "photomaker": "PhotoMaker models",
    "style_models": "style models, for image prompts",
    "text_encoders": "text encoders",
    "unet": "diffusion models alone (older name of diffusion_models)",
    "upscale_models": "upscalers that work on pictures",
    "vae": "VAEs, between pictures and latents",
    "vae_approx": "small VAEs, for previews",
}
# Placeholders that come with checkouts and half-written downloads are no models.
_NOT_MODELS = (".part", ".partial", ".tmp", ".md", ".txt", ".sha256")


@dataclass(frozen=True)
class ModelFile:
    """One file of weights. `name` is its path below the kind's folder, as workflows name it."""

    kind: str
    name: str
    path: Path
    size_bytes: int
    modified_at: datetime


def list_models(home: Home) -> list[ModelFile]:
    """All models of the home, by kind and name; folders that plugins added count as kinds too.

    A file that cannot be looked at raises its OSError: nothing is left out silently.
    """
    return sorted(_walk(home.models), key=lambda model: (model.kind, model.name))


def missing_models(home: Home, workflow: Workflow) -> tuple[MissingModel, ...]:
    """The models that `workflow` names and the home does not have, each with the folder it belongs in."""
    present: dict[str, set[str]] = {}
    for model in list_models(home):
        present.setdefault(model.kind, set()).add(model.name)
    return missing_in(workflow, present)


def _walk(models: Path) -> Iterator[ModelFile]:
    for kind in sorted(models.iterdir()) if models.is_dir() else ():
        if not kind.is_dir() or kind.name.startswith("."):
            continue
        for folder, folders, files in os.walk(kind, followlinks=False, onerror=_raise):
            folders[:] = [name for name in folders if not name.startswith(".")]
            for name in files:
                if not name.startswith((".", "put_")) and not name.endswith(_NOT_MODELS):
                    yield _model(kind, Path(folder) / name)


def _model(kind: Path, path: Path) -> ModelFile:
    facts = path.stat()
    modified = datetime.fromtimestamp(facts.st_mtime, UTC)
    return ModelFile(kind.name, path.relative_to(kind).as_posix(), path, facts.st_size, modified)


def _raise(error: OSError) -> None:
    raise error
