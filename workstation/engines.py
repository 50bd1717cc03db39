"""The engine of a workstation: put in place, told apart, and the command that starts it."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from workstation.cache import cache_environment
from workstation.command import EngineCommand
from workstation.errors import EngineMissing, EngineSourceUnusable
from workstation.layout import Workstation

EngineKind = Literal["builtin", "comfyui"]
VERSION_FILE = "VERSION"  # written beside the builtin engine's copy; ComfyUI has comfyui_version.py
_COMFYUI_VERSION = re.compile(r"""__version__\s*=\s*["']([^"']+)["']""")
# What of this process's environment an engine sees; tokens, passwords and URLs of ours it does not.
_PASSED_ON = re.compile(r"PATH|HOME|LANG|LC_\w+|CUDA_\w+|NVIDIA_\w+|LD_LIBRARY_PATH|TMPDIR|TZ")


@dataclass(frozen=True)
class EngineChoice:
    """Which engine a project has. `source` is a path or git URL of a ComfyUI checkout, None for builtin."""

    kind: EngineKind = "builtin"
    source: str | None = None
    commit: str | None = None


@dataclass(frozen=True)
class EngineVersion:
    """What is in place: `version` as the engine states it, `commit` of a checkout."""

    kind: EngineKind
    version: str | None
    commit: str | None


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


def engine_version(workstation: Workstation) -> EngineVersion:
    """Which engine lies in the workstation. Raises EngineMissing."""
    engine = workstation.engine
    if not (engine / "main.py").is_file():
        raise EngineMissing(engine)
    stated = engine / VERSION_FILE
    if stated.is_file() and not (engine / "comfyui_version.py").exists():
        return EngineVersion("builtin", stated.read_text(encoding="utf-8").strip(), None)
    found = None
    if (engine / "comfyui_version.py").is_file():
        found = _COMFYUI_VERSION.search((engine / "comfyui_version.py").read_text(encoding="utf-8"))
    commit = None
    if (engine / ".git").exists():
        from workstation.plugins import repositories

        commit = repositories.facts(engine).commit
    return EngineVersion("comfyui", found[1] if found else None, commit)


def engine_command(
    workstation: Workstation,
    *,
    listen: str = "127.0.0.1",
    port: int,
    python: Path | None = None,
    cpu: bool = False,
    extra: tuple[str, ...] = (),
    inherited: Mapping[str, str] | None = None,
) -> EngineCommand:
    """How the engine of this workstation is started; the same arguments for both engines.

    `inherited` (default: this process's environment) passes an allow-list, so no secret reaches a plugin.
    """
    root = workstation.root
    argv = (
        str(python or workstation.python),
        str(workstation.engine / "main.py"),
        *("--listen", listen, "--port", str(port)),
        *("--base-directory", str(root)),
        *("--database-url", f"sqlite:///{workstation.user / 'comfyui.db'}"),
        "--disable-api-nodes",
        *(("--cpu",) if cpu else ()),
        *extra,
    )
    return EngineCommand(
        argv, root, _environment(workstation, os.environ if inherited is None else inherited)
    )


def has_gpu() -> bool:
    """Whether this machine shows an NVIDIA device; engines elsewhere run with --cpu."""
    return any(Path("/dev").glob("nvidia[0-9]*"))


def _environment(workstation: Workstation, inherited: Mapping[str, str]) -> dict[str, str]:
    passed = {name: value for name, value in inherited.items() if _PASSED_ON.fullmatch(name)}
    path = passed.get("PATH", os.defpath)
    return {
        **passed,
        **cache_environment(workstation),
        "PATH": f"{workstation.venv / 'bin'}{os.pathsep}{path}",
        "VIRTUAL_ENV": str(workstation.venv),
        "PYTHONNOUSERSITE": "1",
        "PYTHONUNBUFFERED": "1",  # so that the log shows what happened right before a crash
        "PYTHONUTF8": "1",
    }


def _place_builtin(engine: Path) -> None:
    spec = importlib.util.find_spec("online_runtime")
    places = list(spec.submodule_search_locations or ()) if spec else []
    sources = [Path(place) / "engine" for place in places if (Path(place) / "engine").is_dir()]
    if not sources:
        raise EngineSourceUnusable(
            "the builtin engine", "this installation does not contain it; reinstall stillframe"
        )
    shutil.copytree(sources[0], engine, symlinks=True, ignore=shutil.ignore_patterns("__pycache__"))
    (engine / VERSION_FILE).write_text(importlib.metadata.version("stillframe") + "\n", encoding="utf-8")


def _place_comfyui(choice: EngineChoice, engine: Path) -> None:
    from workstation.plugins import repositories

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
