"""The tools that people keep working environments with today, each with its own copy or repository."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

PASSWORD = "benchmark"


@dataclass
class Peer:
    """One tool: `keep` keeps the workstation once more and returns when that is on the disk."""

    name: str
    program: str
    folder: Path
    times: int = 0
    environment: dict[str, str] = field(default_factory=dict)

    @property
    def is_installed(self) -> bool:
        return shutil.which(self.program) is not None

    @property
    def is_incremental(self) -> bool:
        """Whether a second time costs less than the first."""
        return self.program != "cp"

    def start(self) -> None:
        """Make what the tool wants to exist before the first time."""
        self.folder.mkdir()
        home = {"HOME": str(self.folder / "home")}
        self.environment = {**os.environ, **home, "RESTIC_PASSWORD": PASSWORD, "BORG_BASE_DIR": home["HOME"]}
        self.environment["BORG_UNKNOWN_UNENCRYPTED_REPO_ACCESS_IS_OK"] = "yes"
        repository = str(self.folder / "repository")
        if self.program == "restic":
            self._run(["restic", "-q", "init", "--repository-version", "2", "-r", repository])
        elif self.program == "borg":
            self._run(["borg", "init", "-e", "none", repository])

    def keep(self, workstation: Path) -> None:
        """Keep the workstation once more."""
        self._run(self._command(workstation))
        self._run(["sync", "-f", str(self.folder)])
        self.times += 1

    def _command(self, workstation: Path) -> list[str]:
        target = str(self.folder / str(self.times))
        if self.program == "cp":
            return ["cp", "-a", str(workstation), target]
        if self.program == "rsync":
            previous = [f"--link-dest={self.folder / str(self.times - 1)}"] if self.times else []
            return ["rsync", "-a", *previous, f"{workstation}/", f"{target}/"]
        repository = str(self.folder / "repository")
        if self.program == "restic":
            return ["restic", "-q", "-r", repository, "backup", str(workstation)]
        return ["borg", "create", "-C", "lz4", f"{repository}::{self.times}", str(workstation)]

    def _run(self, command: Sequence[str]) -> None:
        subprocess.run(command, env=self.environment, check=True, stdout=subprocess.DEVNULL)

    def end(self) -> None:
        """Leave nothing behind."""
        shutil.rmtree(self.folder)


def peers(folder: Path) -> list[Peer]:
    """Every tool that is compared, installed or not."""
    named = [("cp -a", "cp"), ("rsync --link-dest", "rsync"), ("restic", "restic"), ("borg, lz4", "borg")]
    return [Peer(name, program, folder / f"peer-{program}") for name, program in named]
