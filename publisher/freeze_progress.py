"""How far the freeze of a project is, for whoever looks at its deployment: PROJECT/run/freeze.json.

Written by rename and never synced: after a crash it is only an old look at something that is begun anew.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

from snapshotter.freeze import FreezeProgress, OnProgress
from workstation.layout import Project


@contextmanager
def kept_progress(project: Project) -> Iterator[OnProgress]:
    """What to tell the progress to while the freeze runs; nothing is left of it afterwards."""
    place = _place(project)
    partial = place.with_name(f".{place.name}.{os.getpid()}")

    def keep(progress: FreezeProgress) -> None:
        partial.write_text(json.dumps(asdict(progress)), encoding="utf-8")
        partial.replace(place)

    project.run.mkdir(parents=True, exist_ok=True)
    try:
        yield keep
    finally:
        place.unlink(missing_ok=True)


def read_progress(project: Project) -> FreezeProgress | None:
    """How far it is, or None when nothing is being frozen."""
    try:
        return FreezeProgress(**json.loads(_place(project).read_text(encoding="utf-8")))
    except FileNotFoundError:
        return None


def _place(project: Project) -> Path:
    return project.run / "freeze.json"
