"""Use cases over a workstation that both doors offer: packages, logs, imports, workflows."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from web.calls import Caller
from web.errors import ModelsMissing, NodesUnknown
from web.installation import Installation
from workstation.errors import WorkstationNotRunning
from workstation.layout import Home, Project

if TYPE_CHECKING:
    from workstation.dependencies.inventory import Installed
    from workstation.dependencies.plan import Plan
    from workstation.plugins.imports import ImportResult
    from workstation.workflows import Workflow


def list_packages(here: Installation, project: str) -> list[Installed]:
    """Installed distributions with the layer that each comes from."""
    from workstation.bases import read_base
    from workstation.dependencies.environment import list_packages as listed
    from workstation.project import read_project

    place, file = read_project(here.home, project)
    return list(listed(place.workstation.venv, read_base(here.home, file.base)))


def plan_packages(here: Installation, project: str, requirements: Sequence[str]) -> Plan:
    """What installing would change; a single name of a requirements file stands for its lines."""
    from workstation.bases import read_base
    from workstation.dependencies.plan import plan
    from workstation.project import read_project

    place, file = read_project(here.home, project)
    return plan(place, read_base(here.home, file.base), _wanted(requirements))


def add_packages(
    here: Installation, project: str, requirements: Sequence[str], *, accept: tuple[str, ...]
) -> Plan:
    """Install, or change nothing.

    Raises ProtectedChange, DependencyConflict, RequirementsDoNotResolve, InstallFailed.
    """
    from workstation.dependencies.apply import apply
    from workstation.project import read_project

    made = plan_packages(here, project, requirements)
    apply(read_project(here.home, project)[0], made, accept)
    return made


def remove_packages(here: Installation, project: str, names: Sequence[str]) -> None:
    """Remove packages of the workstation's own environment, or change nothing."""
    from workstation.bases import read_base
    from workstation.dependencies.apply import remove_packages as removed
    from workstation.project import read_project

    place, file = read_project(here.home, project)
    removed(place, read_base(here.home, file.base), names)


def log_lines(project: Project, *, lines: int, follow: bool) -> Iterator[str]:
    """The last lines of the engine's log; with `follow` also the new ones, without end."""
    from workstation.process import engine_log, follow_log

    if follow:
        yield from follow_log(project, threading.Event(), lines)
        return
    log = engine_log(project)
    if log.is_file():
        with log.open(encoding="utf-8", errors="replace") as file:
            yield from (line.rstrip("\n") for line in deque(file, maxlen=lines))


def last_imports(project: Project) -> list[ImportResult]:
    """How each plugin imported at the engine's last start; empty when it never started."""
    from workstation.plugins.imports import import_report

    text = "\n".join(log_lines(project, lines=50_000, follow=False))
    return sorted(import_report(text).values(), key=lambda one: one.name)


def engine_url(project: Project) -> str:
    """Where the engine answers. Raises WorkstationNotRunning."""
    from workstation.process import workstation_state

    state = workstation_state(project)
    if state.url is None:
        raise WorkstationNotRunning(project.name, state.status, state.problem)
    return state.url


def caller_for(home: Home, project: Project, workflow: Workflow) -> Caller:
    """A caller of the running engine, once it has the workflow's nodes and the home its models."""
    from workstation.models import missing_models
    from workstation.workflows import unknown_nodes

    caller = Caller(engine_url(project))
    missing = missing_models(home, workflow)
    if missing:
        raise ModelsMissing([one.sentence for one in missing], home.models)
    unknown = unknown_nodes(workflow, caller.object_info())
    if unknown:
        raise NodesUnknown([one.class_type for one in unknown], project.name)
    return caller


def _wanted(requirements: Sequence[str]) -> Sequence[str] | Path:
    first = Path(requirements[0]) if len(requirements) == 1 else None
    return (
        first
        if first is not None and first.suffix == ".txt" and first.is_file()
        else list(islice(requirements, None))
    )
