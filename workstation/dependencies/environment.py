"""The virtual environment of a workstation: layered over a base, or isolated from it."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from workstation.bases import Base
from workstation.dependencies.errors import EnvironmentNotMade
from workstation.dependencies.installer import INSTALL_LIMIT_SECONDS, UvResult, run_uv
from workstation.dependencies.inventory import Installed, layered, read_distributions, visible_distributions

EnvironmentKind = Literal["layered", "isolated"]
BASE_LINK = "stillframe_base.pth"


def make_environment(venv: Path, base: Base, kind: EnvironmentKind = "layered") -> None:
    """Make the virtual environment `venv` over `base`; a folder that is there is replaced.

    Layered: thin, with a .pth line that adds the base's packages after its own. Isolated: with the base's
    packages installed again, which may need the network. Raises EnvironmentNotMade and leaves no folder then.
    """
    # Relocatable: its scripts find their interpreter beside them, so it may be renamed and frozen elsewhere.
    made = run_uv("venv", "--clear", "--relocatable", "--no-project", "--python", str(base.python), str(venv))
    if made.ok:
        (venv / "CACHEDIR.TAG").unlink(missing_ok=True)  # it is no cache: backups shall have it
        made = _layer(venv, base) if kind == "layered" else _fill(venv, base)
    if not made.ok:
        shutil.rmtree(venv, ignore_errors=True)
        raise EnvironmentNotMade(venv, made.reason)


def site_packages_of(venv: Path) -> Path:
    """Where the environment's own packages lie. Raises EnvironmentNotMade when it is none."""
    found = sorted((venv / "lib").glob("python3*/site-packages"))
    if not found:
        raise EnvironmentNotMade(
            venv, "it has no site-packages; create the project anew or restore a snapshot."
        )
    return found[0]


def list_packages(venv: Path, base: Base) -> list[Installed]:
    """What the workstation's Python sees, by name, each with the layer it comes from."""
    own = site_packages_of(venv)
    under = visible_distributions(base.site_packages) if is_layered(venv) else {}
    return layered(read_distributions(own), under)


def is_layered(venv: Path) -> bool:
    """Whether the environment stands on a base."""
    return (site_packages_of(venv) / BASE_LINK).is_file()


def _layer(venv: Path, base: Base) -> UvResult:
    # A virtual environment made from another one sees the outer interpreter's packages only: hence the line.
    (site_packages_of(venv) / BASE_LINK).write_text(f"{base.site_packages}\n", encoding="utf-8")
    return UvResult(True, "")


def _fill(venv: Path, base: Base) -> UvResult:
    pins: Sequence[str] = [_pin(name, base) for name in base.distributions]
    if not pins:
        return UvResult(True, "")
    return run_uv(
        *("pip", "install", "--python", str(venv / "bin" / "python"), "--no-deps", *pins),
        limit_seconds=INSTALL_LIMIT_SECONDS,
    )


def _pin(name: str, base: Base) -> str:
    origin = visible_distributions(base.site_packages)[name].origin
    return f"{name} @ {origin}" if origin else f"{name}=={base.distributions[name]}"
