"""A small workstation on the real disk, with its store and its snapshots."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from snapshotter.components import BaseFacts, components_of
from snapshotter.freeze import FreezeResult, freeze
from snapshotter.manifest import Snapshot
from snapshotter.materialise import view_of
from snapshotter.objects import Store
from workstation.layout import Project

Tree = dict[bytes, tuple[Any, ...]]


@dataclass
class Desk:
    """A project that can be frozen, and a look at what came of it."""

    project: Project
    store: Store
    base: BaseFacts | None = None

    @property
    def root(self) -> Path:
        return self.project.workstation.root

    @property
    def plugin(self) -> Path:
        return self.project.workstation.custom_nodes / "stamp"

    def freeze(self, facts: dict[str, dict[str, Any]] | None = None, **options: Any) -> FreezeResult:
        sources = components_of(self.project, self.base, facts or {})
        return freeze(
            self.store, self.project.name, self.project.snapshots, self.root, sources, {}, **options
        )

    def views(self, snapshot: Snapshot) -> dict[str, Path]:
        return view_of(self.store, snapshot)

    def assert_gives_back(self, snapshot: Snapshot) -> None:
        """Each component's view is what lies in the workstation now."""
        for component in snapshot.components:
            place = component.place_in(self.root)
            assert seen(self.views(snapshot)[component.name]) == expected(place), component.name


def seen(root: Path) -> Tree:
    """Everything below and including `root`: kind, permissions, mtime and content or target."""
    found: Tree = {}
    for path in [os.fsencode(root), *_below(os.fsencode(root))]:
        facts = os.lstat(path)
        value: Any = None
        if stat.S_ISREG(facts.st_mode):
            value = Path(os.fsdecode(path)).read_bytes()
        elif stat.S_ISLNK(facts.st_mode):
            value = os.readlink(path)  # noqa: PTH115 - bytes
        found[path[len(os.fsencode(root)) :]] = facts.st_mode, facts.st_mtime_ns, value
    return found


def expected(root: Path) -> Tree:
    """As `seen`, with the modes that objects have in a view."""
    found = seen(root)
    for path, (mode, mtime_ns, value) in found.items():
        if stat.S_ISREG(mode):
            found[path] = stat.S_IFREG | (0o555 if mode & 0o111 else 0o444), mtime_ns, value
    return found


def _below(root: bytes) -> list[bytes]:
    if not stat.S_ISDIR(os.lstat(root).st_mode):
        return []
    found = []
    for folder, folders, files in os.walk(root):
        found += [folder + b"/" + name for name in folders + files]
    return found


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    project = Project("portraits", tmp_path / "projects" / "portraits")
    for folder in (project.workstation.engine, project.workstation.custom_nodes / "stamp"):
        folder.mkdir(parents=True)
    (project.workstation.engine / "main.py").write_text("print('engine')\n")
    (project.workstation.custom_nodes / "stamp" / "__init__.py").write_text("NODE_CLASS_MAPPINGS = {}\n")
    models = tmp_path / "models"
    models.mkdir()
    project.workstation.models.symlink_to(models)
    return Desk(project, Store(tmp_path / "store"))
