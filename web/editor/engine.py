"""Which engine stands behind a project's editor, now."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from workstation.engines import EngineKind
from workstation.errors import ProjectNotFound, WorkstationNotRunning
from workstation.layout import Home
from workstation.process import workstation_state
from workstation.project import list_projects, read_project_file


@dataclass(frozen=True)
class Engine:
    """A workstation's engine that runs. `url` ends without a slash; `root` is the workstation's folder."""

    project: str
    kind: EngineKind
    url: str
    root: Path
    models: Path


def running_engine(home: Home, name: str) -> Engine:
    """Raises BadName, ProjectNotFound, WorkstationNotRunning. Reads two small files."""
    project = home.project(name)
    if not project.file.is_file():
        raise ProjectNotFound(name, list_projects(home))
    kind = read_project_file(project).engine.kind
    state = workstation_state(project)
    if state.url is None:
        raise WorkstationNotRunning(name, state.status, state.problem)
    return Engine(name, kind, state.url, project.workstation.root, home.models)
