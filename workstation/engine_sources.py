"""Putting an engine in place: the builtin one copied from this installation, ComfyUI from a checkout."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import shutil
from pathlib import Path

from workstation.engines import VERSION_FILE, EngineChoice
from workstation.errors import EngineSourceUnusable
from workstation.plugins import repositories


def place_engine(choice: EngineChoice, engine: Path) -> None:
    """Put the chosen engine into the new folder `engine`.

    Raises EngineSourceUnusable, CloneFailed or RefNotFound.
    """
    if choice.kind == "builtin":
        _place_builtin(engine)
    else:
        _place_comfyui(choice, engine)
    if not (engine / "main.py").is_file():
        raise EngineSourceUnusable(choice.source or "the builtin engine", "it has no main.py")


def builtin_engine() -> Path:
    """The builtin engine's folder in this installation. Raises EngineSourceUnusable."""
    spec = importlib.util.find_spec("online_runtime")
    places = list(spec.submodule_search_locations or ()) if spec else []
    sources = [Path(place) / "engine" for place in places if (Path(place) / "engine").is_dir()]
    if not sources:
        raise EngineSourceUnusable(
            "the builtin engine", "this installation does not contain it; reinstall stillframe"
        )
    return sources[0]


def _place_builtin(engine: Path) -> None:
    shutil.copytree(builtin_engine(), engine, symlinks=True, ignore=shutil.ignore_patterns("__pycache__"))
    (engine / VERSION_FILE).write_text(importlib.metadata.version("stillframe") + "\n", encoding="utf-8")


def _place_comfyui(choice: EngineChoice, engine: Path) -> None:
    if not choice.source:
        raise EngineSourceUnusable("comfyui", "give the path or git URL of a ComfyUI checkout")
    local = None if repositories.is_git_url(choice.source) else Path(choice.source).expanduser().absolute()
    if local is not None and not (local / "main.py").is_file() and not (local / "HEAD").is_file():
        raise EngineSourceUnusable(choice.source, "there is no ComfyUI checkout (no main.py)")
    if local is not None and not (local / ".git").exists() and not (local / "HEAD").is_file():
        _copy_unversioned(choice, local, engine)
        return
    repositories.obtain(local if local is not None else choice.source, engine, choice.commit)


def _copy_unversioned(choice: EngineChoice, local: Path, engine: Path) -> None:
    if choice.commit:
        raise EngineSourceUnusable(
            str(local), f"it is no git checkout, so commit {choice.commit} cannot be chosen"
        )
    # The project has its own of these; weights and pictures are not the engine.
    elsewhere = {"models", "input", "output", "temp", "user", "custom_nodes", "venv", ".venv"}

    def skipped(folder: str, names: list[str]) -> set[str]:
        return {n for n in names if n == "__pycache__" or (Path(folder) == local and n in elsewhere)}

    shutil.copytree(local, engine, symlinks=True, ignore=skipped)
