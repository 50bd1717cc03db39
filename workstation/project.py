"""Projects: folders that describe themselves, made whole or not at all."""

from __future__ import annotations

import errno
import os
import shutil
import tomllib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from workstation.atomic import sync_folder, write_text
from workstation.bases import DEFAULT, Base, read_base
from workstation.change import recover
from workstation.dependencies.environment import EnvironmentKind, make_environment
from workstation.engines import EngineChoice
from workstation.errors import (
    ProjectExists,
    ProjectNotFound,
    ProjectRunning,
    ProjectTooNew,
    ProjectUnreadable,
)
from workstation.identity import ProcessIdentity
from workstation.layout import NAME, SCRATCH_FOLDERS, Home, Project, Workstation
from workstation.overlay import take_down
from workstation.removing import remove
from workstation.subvolume import make_folder

FORMAT = 1
_PARTIAL = ".partial-"  # .partial-PID-TICKS-NAME: its maker can be looked for
_REMOVED = ".removed-"


@dataclass(frozen=True)
class ProjectFile:
    """What project.toml says. `arguments` are added to the engine's command line."""

    name: str
    engine: EngineChoice
    base: str
    environment: EnvironmentKind
    created_at: datetime
    arguments: tuple[str, ...] = ()


def create_project(
    home: Home,
    name: str,
    engine: EngineChoice | None = None,
    base: str = DEFAULT,
    environment: EnvironmentKind = "layered",
    progress: Callable[[str], None] | None = None,
    arguments: tuple[str, ...] = (),
) -> Project:
    """Make a project with its engine and environment; it appears complete, by one rename, or not at all.

    Raises BadName, ProjectExists, BaseNotFound, EngineError and PluginError kinds (the source of a checkout),
    DependencyError kinds (what a ComfyUI checkout requires).
    """
    tell = progress or _silent
    project = home.project(name)
    if project.root.exists():
        raise ProjectExists(name)
    chosen = read_base(home, base)
    _sweep(home)
    file = ProjectFile(name, engine or EngineChoice(), base, environment, datetime.now(UTC), arguments)
    partial = Project(name, home.projects / f"{_PARTIAL}{_me()}-{name}")
    try:
        _build(partial, file, chosen, tell)
        _publish(partial, project)
    except BaseException:
        shutil.rmtree(partial.root, ignore_errors=True)
        raise
    return project


def read_project(home: Home, name: str) -> tuple[Project, ProjectFile]:
    """A project and its file; a change of it that was killed is undone first.

    Raises BadName, ProjectNotFound (naming what exists), ProjectTooNew, ProjectUnreadable.
    """
    project = home.project(name)
    if not project.file.is_file():
        raise ProjectNotFound(name, list_projects(home))
    file = read_project_file(project)
    recover(project)
    return project, file


def read_project_file(project: Project) -> ProjectFile:
    """What project.toml says, without looking further. Raises ProjectTooNew or ProjectUnreadable."""
    try:
        values: dict[str, Any] = tomllib.loads(project.file.read_text(encoding="utf-8"))
        if values.get("format") != FORMAT:
            raise ProjectTooNew(project.name, found=values.get("format"), known=FORMAT)
        engine = values["engine"]
        return ProjectFile(
            values["name"],
            EngineChoice(engine["kind"], engine.get("source"), engine.get("commit")),
            values["base"],
            values["environment"],
            values["created_at"],
            tuple(values.get("arguments", ())),
        )
    except (OSError, tomllib.TOMLDecodeError, UnicodeDecodeError, KeyError, TypeError) as error:
        raise ProjectUnreadable(project.file, f"{type(error).__name__}: {error}") from error


def write_project_file(project: Project, file: ProjectFile) -> None:
    """Replace project.toml, by rename."""
    import tomli_w

    engine = {"kind": file.engine.kind, "source": file.engine.source, "commit": file.engine.commit}
    values = {
        "format": FORMAT,
        "name": file.name,
        "base": file.base,
        "environment": file.environment,
        "created_at": file.created_at,
        "arguments": list(file.arguments),
        "engine": {key: value for key, value in engine.items() if value is not None},
    }
    write_text(project.file, tomli_w.dumps(values))


def list_projects(home: Home) -> list[str]:
    """The names of the projects, in order."""
    return sorted(
        file.parent.name for file in home.projects.glob("*/project.toml") if NAME.fullmatch(file.parent.name)
    )


def remove_project(home: Home, name: str) -> None:
    """Remove a project with everything in it: workstation, snapshots, results. Models are shared and stay.

    Raises ProjectNotFound, or ProjectRunning while its workstation runs.
    """
    from workstation.keeping import workstation_state

    project = home.project(name)
    if not project.root.is_dir():
        raise ProjectNotFound(name, list_projects(home))
    if workstation_state(project).alive:
        raise ProjectRunning(name)
    take_down(project)
    gone = home.projects / f"{_REMOVED}{_me()}-{name}"
    project.root.rename(gone)  # from here on it does not exist; what is killed below is swept later
    remove(gone)


def _build(partial: Project, file: ProjectFile, base: Base, tell: Callable[[str], None]) -> None:
    from workstation.engine_sources import place_engine  # reaches git, which reading a project does not need

    workstation = partial.workstation
    _make_folders(partial)
    tell("putting the engine in place")
    place_engine(file.engine, workstation.engine)
    tell(f"making the environment over base {base.name}")
    make_environment(workstation.venv, base, file.environment)
    if file.engine.kind == "comfyui":
        _install_engine_requirements(partial, base, tell)
    write_project_file(partial, file)


def _make_folders(project: Project) -> None:
    workstation: Workstation = project.workstation
    project.root.parent.mkdir(parents=True, exist_ok=True)
    make_folder(project.root)
    project.root.chmod(0o700)
    folders = [workstation.custom_nodes, workstation.cache, workstation.workflows]
    folders += [workstation.root / name for name in SCRATCH_FOLDERS]
    for folder in (*folders, project.snapshots, project.service, project.run):
        folder.mkdir(parents=True)
    # Relative, so that a home folder may be moved: projects/NAME/workstation/models -> HOME/models
    workstation.models.symlink_to(Path("../../../models"))


def _install_engine_requirements(project: Project, base: Base, tell: Callable[[str], None]) -> None:
    from workstation.dependencies.apply import apply
    from workstation.dependencies.plan import plan

    requirements = project.workstation.engine / "requirements.txt"
    if requirements.is_file():
        tell("planning what the engine requires")
        found = plan(project, base, requirements)
        tell(f"installing {len(found.pins)} packages that the engine requires")
        apply(project, found)


def _publish(partial: Project, project: Project) -> None:
    try:
        partial.root.rename(project.root)
    except OSError as error:
        if error.errno in (errno.ENOTEMPTY, errno.EEXIST):
            raise ProjectExists(project.name) from error  # somebody was faster
        raise
    sync_folder(project.root.parent)


def _sweep(home: Home) -> None:
    """Remove what makers and removers left that were killed; the living are left alone."""
    for folder in home.projects.glob(".*-*"):
        marked = folder.name.removeprefix(_PARTIAL).removeprefix(_REMOVED)
        pid, _, rest = marked.partition("-")
        ticks = rest.partition("-")[0]
        if marked == folder.name or not (pid.isdigit() and ticks.isdigit()):
            continue
        maker = ProcessIdentity.of(int(pid))
        if maker is None or maker.started_ticks != int(ticks):
            remove(folder)


def _me() -> str:
    me = ProcessIdentity.of(os.getpid())
    return f"{os.getpid()}-{me.started_ticks if me else 0}"


def _silent(_: str) -> None:
    """Nobody listens to the progress."""
