"""A small home with one workstation, frozen as the snapshotter's views look: one tree a component."""

from __future__ import annotations

import hashlib
import os
import secrets
import shutil
import sys
from dataclasses import dataclass, field, replace
from pathlib import Path

from online_runtime.instance.spec import InstanceFolder, InstanceSpec, Mount
from workstation.layout import Home, Workstation

STANDIN = Path(__file__).parents[2] / "fakes" / "standin_comfyui.py"

PLUGIN = """
from pathlib import Path
NODE_CLASS_MAPPINGS = {}
here = Path(__file__).parent
print("alpha says", (here / "version.txt").read_text())
"""


@dataclass
class FrozenHome:
    """A home folder whose project `demo` can be frozen and started."""

    home: Home
    interpreter: Path = field(default_factory=lambda: Path(sys.executable).resolve())

    @property
    def workstation(self) -> Workstation:
        return self.home.project("demo").workstation

    @property
    def plugin(self) -> Path:
        return self.workstation.custom_nodes / "alpha"

    def build(self) -> FrozenHome:
        """Write the workstation: the stand-in engine, one plugin, a thin venv, a cache and user files."""
        place = self.workstation
        for folder in (place.engine, self.plugin, place.venv / "bin", place.cache / "hub", place.user):
            folder.mkdir(parents=True)
        shutil.copy2(STANDIN, place.engine / "main.py")
        self.write_plugin("alpha", PLUGIN)
        (self.plugin / "version.txt").write_text("one")
        (self.plugin / "notes").mkdir()
        (self.plugin / "notes" / "old.txt").write_text("old")
        (place.custom_nodes / "single.py").write_text("NODE_CLASS_MAPPINGS = {}\n")
        (place.venv / "bin" / "python").symlink_to(self.interpreter)
        (place.venv / "pyvenv.cfg").write_text(f"home = {self.interpreter.parent}\n")
        (place.cache / "hub" / "entry").write_text("cached")
        (place.user / "settings.json").write_text("{}")
        self.home.file.write_text("format = 1\n")
        for folder in (self.home.models / "checkpoints", self.home.instances, self.home.store / "views"):
            folder.mkdir(parents=True)
        (self.home.models / "checkpoints" / "tiny.safetensors").write_bytes(b"weights")
        place.models.symlink_to(self.home.models)
        (self.home.root / "control.db").write_text("accounts and tokens")
        return self

    def write_plugin(self, name: str, text: str) -> None:
        folder = self.workstation.custom_nodes / name
        folder.mkdir(exist_ok=True)
        (folder / "__init__.py").write_text(text)

    def freeze(self) -> tuple[Mount, ...]:
        """Copy every component into the store as a view, and say where each belongs."""
        place = self.workstation
        parts = [place.engine, place.venv, place.cache, place.user, *sorted(place.custom_nodes.iterdir())]
        return tuple(self._view(part) for part in parts)

    def spec(self, **changes: object) -> InstanceSpec:
        """A spec of a new instance on a CPU slot."""
        spec = InstanceSpec(
            instance_id=f"i-{secrets.token_hex(4)}",
            service="demo",
            deployment=1,
            snapshot_id="s" * 64,
            snapshot_number=1,
            token=secrets.token_hex(16),
            workstation=str(self.workstation.root),
            mounts=self.freeze(),
            models=str(self.home.models),
            input=str(self.home.project("demo").service / "input"),
        )
        return replace(spec, **changes)  # type: ignore[arg-type]

    def folder(self, spec: InstanceSpec) -> InstanceFolder:
        """The instance's folder with its spec in it."""
        folder = InstanceFolder(self.home.instances / spec.instance_id)
        folder.root.mkdir(parents=True, exist_ok=True)
        folder.spec.write_text(spec.to_json())
        return folder

    def _view(self, part: Path) -> Mount:
        name = str(part.relative_to(self.workstation.root))
        view = self.home.store / "views" / f"{name.replace('/', '-')}-{secrets.token_hex(4)}"
        if part.is_dir():
            shutil.copytree(part, view, symlinks=True)
            for file in view.rglob("*"):
                if file.is_file() and not file.is_symlink():
                    file.chmod(file.stat().st_mode & 0o555)
        else:
            shutil.copy2(part, view)
            view.chmod(0o444)
        return Mount(name, str(view), str(part))


def digest(tree: Path) -> str:
    """Every name, mode, time, target and byte below `tree`, and of `tree` itself, in one digest."""
    found = hashlib.sha256()
    for path in [tree, *sorted(tree.rglob("*"))]:
        facts = path.lstat()
        found.update(f"{path} {facts.st_mode} {facts.st_mtime_ns}".encode())
        if path.is_symlink():
            found.update(os.fsencode(path.readlink()))
        elif path.is_file():
            found.update(path.read_bytes())
    return found.hexdigest()
