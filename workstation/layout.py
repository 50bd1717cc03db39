"""Named paths of a home folder, and what each means. Pure: nothing here touches the disk.

HOME/
  home.toml                 format version of this folder
  models/                   shared weights, in ComfyUI's folder names
  bases/NAME/base.toml      a named base: interpreter, packages, fingerprint
  store/                    objects by content, shared by all snapshots
  projects/NAME/            project.toml, workstation/, snapshots/, service/
  run/                      sockets, pid files, instance layers, logs
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from workstation.errors import BadName

NAME = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,38}[a-z0-9])?")

# What a workstation holds. `models` is a link to the shared folder and is never frozen.
FROZEN_FOLDERS = ("engine", "custom_nodes", "venv", ".cache", "user")
SCRATCH_FOLDERS = ("input", "output", "temp")


def check_name(name: str, of: str) -> str:
    """Return `name` when it may name a project, service or base; raise BadName otherwise."""
    if not NAME.fullmatch(name):
        raise BadName(of=of, name=name)
    return name


@dataclass(frozen=True)
class Workstation:
    """The mutable environment of one project, rooted at `root`."""

    root: Path

    @property
    def engine(self) -> Path:
        return self.root / "engine"

    @property
    def custom_nodes(self) -> Path:
        return self.root / "custom_nodes"

    @property
    def venv(self) -> Path:
        return self.root / "venv"

    @property
    def python(self) -> Path:
        return self.venv / "bin" / "python"

    @property
    def cache(self) -> Path:
        return self.root / ".cache"

    @property
    def user(self) -> Path:
        return self.root / "user"

    @property
    def workflows(self) -> Path:
        """Where ComfyUI's frontend saves workflows; ours saves API-format ones beside them."""
        return self.user / "default" / "workflows"

    @property
    def models(self) -> Path:
        """A link to the shared models folder."""
        return self.root / "models"

    @property
    def input(self) -> Path:
        return self.root / "input"

    @property
    def output(self) -> Path:
        return self.root / "output"

    @property
    def temp(self) -> Path:
        return self.root / "temp"


@dataclass(frozen=True)
class Project:
    """One workstation and one online service, under one name."""

    name: str
    root: Path

    @property
    def file(self) -> Path:
        return self.root / "project.toml"

    @property
    def workstation(self) -> Workstation:
        return Workstation(self.root / "workstation")

    @property
    def snapshots(self) -> Path:
        return self.root / "snapshots"

    @property
    def service(self) -> Path:
        """Inputs and archive of the online side."""
        return self.root / "service"

    @property
    def run(self) -> Path:
        """State, log and pid of the workstation's own engine process. Not frozen."""
        return self.root / "run"


@dataclass(frozen=True)
class Home:
    """Everything one installation owns on disk. `root` is absolute."""

    root: Path

    @property
    def file(self) -> Path:
        return self.root / "home.toml"

    @property
    def models(self) -> Path:
        return self.root / "models"

    @property
    def bases(self) -> Path:
        return self.root / "bases"

    @property
    def store(self) -> Path:
        return self.root / "store"

    @property
    def projects(self) -> Path:
        return self.root / "projects"

    @property
    def run(self) -> Path:
        return self.root / "run"

    @property
    def instances(self) -> Path:
        """One folder an instance: spec, state, log and its private layer."""
        return self.run / "instances"

    def project(self, name: str) -> Project:
        """The paths of project `name`, whether it exists or not. Raises BadName."""
        return Project(check_name(name, of="project"), self.projects / name)

    def base(self, name: str) -> Path:
        return self.bases / check_name(name, of="base")
