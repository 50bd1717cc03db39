"""The engine of a workstation: told apart, and the command that starts it. Reaches no git."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from workstation.cache import cache_environment
from workstation.command import EngineCommand
from workstation.errors import EngineMissing
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
    return EngineVersion("comfyui", found[1] if found else None, _commit(engine / ".git"))


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


def _commit(git_folder: Path) -> str | None:
    """The commit that is checked out, read from the files themselves: this module must do without git."""
    try:
        head = (git_folder / "HEAD").read_text(encoding="utf-8").strip()
        if not head.startswith("ref: "):
            return head
        ref = head.removeprefix("ref: ")
        if (git_folder / ref).is_file():
            return (git_folder / ref).read_text(encoding="utf-8").strip()
        packed = (git_folder / "packed-refs").read_text(encoding="utf-8").splitlines()
    except (FileNotFoundError, NotADirectoryError):
        return None  # no checkout, or one without a commit
    return next((line.split()[0] for line in packed if line.endswith(f" {ref}")), None)


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
