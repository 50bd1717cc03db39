"""Everything that a manifest says beside its bytes: gathered before a freeze, or for a look at what is there.

The workstation's own rooms do the looking. What took long is remembered in the project's run folder, by stat
facts, and what waits for other programs runs side by side.
"""

from __future__ import annotations

import getpass
import json
import os
import subprocess
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from snapshotter.components import BaseFacts, components_of
from snapshotter.describe.cache import cache_entries
from snapshotter.describe.machine import machine_facts
from snapshotter.describe.models import named_models
from snapshotter.rules import ComponentSource
from workstation.bases import Base, read_base
from workstation.engines import engine_version
from workstation.layout import Home, Project
from workstation.plugins.inventory import described_plugins
from workstation.project import ProjectFile
from workstation.stamps import Remembered

ASK_PYTHON_SECONDS = 30.0  # an interpreter on a cold network disk
_ASK = (
    "import json, platform, sys; print(json.dumps({'version': platform.python_version(), "
    "'implementation': platform.python_implementation(), 'build': ' '.join(platform.python_build()), "
    "'compiler': platform.python_compiler(), 'cache_tag': sys.implementation.cache_tag}))"
)


@dataclass(frozen=True)
class Gathered:
    """What to freeze, each part with its facts, and the facts of the whole."""

    sources: list[ComponentSource]
    facts: dict[str, Any]


def gather(
    home: Home, project: Project, file: ProjectFile, smoke_workflow: Mapping[str, Any] | None = None
) -> Gathered:
    """Look at a project's workstation. Raises WorkstationError kinds and OSError; changes nothing in it."""
    workstation = project.workstation
    sources, workflows = (Remembered(project.run / f"{name}.json") for name in ("nodes", "workflows"))
    pythons = Remembered(project.run / "pythons.json")
    with ThreadPoolExecutor(2) as others:  # these wait for other programs
        machine = others.submit(machine_facts)
        base = others.submit(_base, home, file.base, pythons)
        parts: dict[str, Mapping[str, Any]] = {
            "engine": vars(engine_version(workstation)),
            "cache": {"entries": cache_entries(workstation)},
        }
        for path, described in described_plugins(workstation, sources).items():
            parts[path.relative_to(workstation.root).as_posix()] = described
        models, problems = named_models(home, workstation, smoke_workflow, workflows)
        facts = {
            "machine": machine.result(),
            "base": file.base,
            "environment": file.environment,
            "frozen_by": {"user": _user(), "stillframe": _own_version()},
            "models": models,
            "problems": problems,
        }
        found = components_of(project, base.result(), parts)
    for remembered in (sources, workflows, pythons):
        remembered.save()
    return Gathered(found, facts)


def _base(home: Home, name: str, known: Remembered) -> BaseFacts:
    base = read_base(home, name)
    return BaseFacts(base.name, base.site_packages, base.fingerprint, _python(base, known))


def _python(base: Base, known: Remembered) -> dict[str, Any]:
    """How the base's interpreter was built, as it says itself; asked once for each interpreter."""
    facts = base.python.stat()
    build = known.recall(base.python, facts)
    if build is None:
        build = _ask(base.python)
        known.keep(base.python, facts, build)
    return {"executable": str(base.python), **build, "version": base.python_version}


def _ask(python: Path) -> dict[str, Any]:
    try:
        answer = subprocess.run(
            [str(python), "-I", "-S", "-c", _ASK],
            capture_output=True,
            text=True,
            timeout=ASK_PYTHON_SECONDS,
            check=True,
        )
        return dict(json.loads(answer.stdout))
    except (OSError, subprocess.SubprocessError, ValueError) as error:
        return {"problem": f"the interpreter does not say how it was built: {error}"}


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return str(os.getuid())


def _own_version() -> str | None:
    try:
        return version("stillframe")
    except PackageNotFoundError:
        return None
