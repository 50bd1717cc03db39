"""The shared models folder: what lies there, what a workflow misses, and the digests of what is there."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from workstation.atomic import write_text
from workstation.errors import ModelKeepsChanging
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
# Either folder will do for a name.
_TWINS = {
    "diffusion_models": "unet",
    "unet": "diffusion_models",
    "text_encoders": "clip",
    "clip": "text_encoders",
}
_READ_BYTES = 4 << 20
_ATTEMPTS = 2
_RACY_SECONDS = (
    0.02  # twice the coarsest tick of the file clock: a change within it may leave the stamp alone
)

OnBytes = Callable[[int], None]


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


def find_model(home: Home, kind: str, name: str) -> ModelFile | None:
    """The file that a workflow means by `name` of `kind`, or None; its size is a folder's whole size."""
    for folder in (kind, _TWINS.get(kind, kind)):
        place = home.models / folder
        for path in _candidates(place, kind, name):
            if path.is_file():
                return _model(place, path)
            if path.is_dir():
                parts = [part.stat() for part in path.rglob("*") if part.is_file()]
                newest = max((part.st_mtime for part in parts), default=path.stat().st_mtime)
                modified = datetime.fromtimestamp(newest, UTC)
                return ModelFile(folder, name, path, sum(part.st_size for part in parts), modified)
    return None


def known_digest(home: Home, path: Path) -> str | None:
    """The file's BLAKE3 in hex when it was computed before and the file's stat facts are still the same."""
    try:
        facts = path.stat()
        found = json.loads(_digest_file(home, path).read_bytes())
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return None
    return str(found["blake3"]) if found.get("stamp") == _stamp(facts) else None


def digest_of(home: Home, path: Path, progress: OnBytes | None = None) -> str:
    """The file's BLAKE3 in hex; remembered under `HOME/run` until the file's stat facts change.

    Reads the whole file when it is not known: seconds to minutes. Raises ModelKeepsChanging, OSError.
    """
    known = known_digest(home, path)
    return known if known is not None else compute_digest(home, path, progress)


def compute_digest(home: Home, path: Path, progress: OnBytes | None = None) -> str:
    """As `digest_of`, but the file is read in any case. Raises ModelKeepsChanging, OSError."""
    for _ in range(_ATTEMPTS):
        before = path.stat()
        digest = _read_digest(path, before.st_size, progress)
        after = path.stat()
        if _stamp(before) == _stamp(after):
            if datetime.now(UTC).timestamp() - after.st_ctime > _RACY_SECONDS:
                _remember(home, path, after, digest)
            return digest
    raise ModelKeepsChanging(path, _ATTEMPTS)


def _read_digest(path: Path, size: int, progress: OnBytes | None) -> str:
    """Of the first `size` bytes: a file that grows as fast as it is read would never end."""
    from blake3 import blake3

    hasher, left = blake3(), size
    with path.open("rb") as file:
        while left > 0 and (data := file.read(min(_READ_BYTES, left))):
            left -= len(data)
            hasher.update(data)
            if progress is not None:
                progress(len(data))
    return hasher.hexdigest()


def _remember(home: Home, path: Path, facts: os.stat_result, digest: str) -> None:
    file = _digest_file(home, path)
    file.parent.mkdir(parents=True, exist_ok=True)
    write_text(file, json.dumps({"path": str(path), "stamp": _stamp(facts), "blake3": digest}))


def _digest_file(home: Home, path: Path) -> Path:
    """One file a model, so that two who hash at the same time do not undo each other."""
    name = hashlib.sha256(os.fsencode(path.absolute())).hexdigest()[:32]
    return home.run / "model-digests" / f"{name}.json"


def _stamp(facts: os.stat_result) -> list[int]:
    return [facts.st_size, facts.st_mtime_ns, facts.st_ctime_ns, facts.st_ino, facts.st_dev]


def _candidates(folder: Path, kind: str, name: str) -> Iterator[Path]:
    """Places inside `folder` only: a workflow's text may say anything."""
    path = folder / name
    if not name or "\0" in name or not Path(os.path.normpath(path)).is_relative_to(folder) or path == folder:
        return
    yield path
    if kind == "embeddings" and folder.is_dir():
        yield from (found for found in sorted(path.parent.glob("*")) if found.stem == path.name)


def _walk(models: Path) -> Iterator[ModelFile]:
    for kind in sorted(models.iterdir()) if models.is_dir() else ():
        if not kind.is_dir() or kind.name.startswith("."):
            continue
        for folder, folders, files in os.walk(kind, followlinks=False, onerror=_raise):
            folders[:] = [name for name in folders if not name.startswith(".")]
            for name in files:
                if not name.startswith((".", "put_")) and not name.endswith(_NOT_MODELS):
                    yield _model(kind, Path(folder) / name)


def model_at(home: Home, kind: str, path: Path) -> ModelFile:
    """The model at `path` below the folder of `kind`. Raises OSError."""
    return _model(home.models / kind, path)


def _model(kind: Path, path: Path) -> ModelFile:
    facts = path.stat()
    modified = datetime.fromtimestamp(facts.st_mtime, UTC)
    return ModelFile(kind.name, path.relative_to(kind).as_posix(), path, facts.st_size, modified)


def _raise(error: OSError) -> None:
    raise error
