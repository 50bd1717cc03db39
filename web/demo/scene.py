"""The demo's own home: made new at each telling, with waits that suit a demonstration."""

from __future__ import annotations

import shutil
import stat
import subprocess
from collections.abc import Callable
from pathlib import Path

from web.demo.material import CHECKPOINT
from web.errors import DemoFailed, PlatformRunning
from web.supervisor.record import running
from web.supervisor.supervisor import stop_all_instances
from workstation.bases import ensure_default_base
from workstation.home import open_home
from workstation.layout import Home

PROJECT = "demo"
MARK = "demo.txt"
MAKE_MODEL_LIMIT_SECONDS = 300.0

# A real service keeps the defaults: 10 s of health before a switch, 60 s of watching after it.
SETTINGS = """# Settings of the demo: the same steps with shorter waits. A real home keeps the defaults.
health_interval_seconds = 0.5
minimum_healthy_seconds = 1.0
bake_seconds = 2.0
"""


def new_home(root: Path) -> Home:
    """A home that holds nothing, in place of the demo's last one.

    Refuses any other folder, and one that is in use.
    """
    if root.exists():
        _forget(root)
    home = open_home(root)
    (root / MARK).write_text(
        "This home belongs to `stillframe demo`, which removes it when it starts again.\n"
    )
    (root / "settings.toml").write_text(SETTINGS)
    return home


def make_checkpoint(home: Home) -> Path:
    """Random weights in the layout of a small model, made by the engine's own interpreter."""
    out = home.models / "checkpoints" / CHECKPOINT
    python = ensure_default_base(home).python
    done = subprocess.run(
        [str(python), "-m", "online_runtime.engine.models.tiny", str(out)],
        capture_output=True,
        text=True,
        timeout=MAKE_MODEL_LIMIT_SECONDS,
        check=False,
    )
    if done.returncode != 0:
        raise DemoFailed(
            "making the checkpoint", (done.stderr.strip().splitlines() or ["no reason given"])[-1]
        )
    return out


def leave(home: Home) -> None:
    """Stop the workstation of the demo, if it was made."""
    from workstation.process import stop_workstation

    project = home.project(PROJECT)
    if project.file.is_file():
        stop_workstation(project)


def _forget(root: Path) -> None:
    if not (root / MARK).is_file():
        raise DemoFailed("making the home", f"{root} is there and is not the demo's: choose another --home")
    home = open_home(root)
    up = running(home.run)
    if up is not None:
        raise PlatformRunning(root, up.supervisor.pid, up.since, up.url)
    leave(home)
    stop_all_instances(home.instances)
    shutil.rmtree(root, onerror=_writable_first)


def _writable_first(remove: Callable[[str], object], path: str, _error: object) -> None:
    """Frozen trees are read-only folders: give the folder its write bit and try once more."""
    parent = Path(path).parent
    parent.chmod(parent.stat().st_mode | stat.S_IRWXU)
    if Path(path).is_dir() and not Path(path).is_symlink():
        Path(path).chmod(stat.S_IRWXU)
        shutil.rmtree(path, onerror=_writable_first)
    else:
        remove(path)
