"""What boot tells the agent just before it becomes the engine: which port, which process, which isolation."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass

from online_runtime.instance.spec import InstanceFolder
from workstation.atomic import write_text
from workstation.identity import ProcessIdentity


@dataclass(frozen=True)
class StartedEngine:
    """One start of the engine. Its process leads a session. `isolation` is "namespace" or "copy"."""

    port: int
    process: ProcessIdentity
    isolation: str

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


def write_started(folder: InstanceFolder, started: StartedEngine) -> None:
    """By rename: the agent reads all of it or nothing."""
    write_text(folder.engine, json.dumps(asdict(started)))


def read_started(folder: InstanceFolder) -> StartedEngine | None:
    """The last start, whether it still runs or not; None when there was none."""
    try:
        values = json.loads((folder.engine).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    return StartedEngine(values["port"], ProcessIdentity(**values["process"]), values["isolation"])
