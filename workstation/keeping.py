"""Starting and stopping a workstation's engine through its keeper, which outlives whoever asked."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from workstation.atomic import write_text
from workstation.command import EngineStatus, Exit
from workstation.errors import EngineMissing, KeeperNotStarted, NotReady, StopFailed, WorkstationNotRunning
from workstation.identity import ProcessIdentity
from workstation.layout import Project
from workstation.log import follow
from workstation.supervision import GRACE_SECONDS, answers

START_LIMIT_SECONDS = 30.0  # for the keeper to come up, on a busy machine
STOP_LIMIT_SECONDS = GRACE_SECONDS + 15
READY_LIMIT_SECONDS = 900.0  # fifty plugins have been seen to take minutes to import
_POLL_SECONDS = 0.05
# What a keeper needs of its starter's environment; it filters again before it starts the engine.
_PASSED_ON = re.compile(r"PATH|HOME|LANG|LC_\w+|CUDA_\w+|NVIDIA_\w+|LD_LIBRARY_PATH|TMPDIR|TZ|PYTHONPATH")
_LIVING = frozenset(
    {EngineStatus.STARTING, EngineStatus.RUNNING, EngineStatus.RESTARTING, EngineStatus.STOPPING}
)


@dataclass(frozen=True)
class WorkstationState:
    """What is known of a workstation's engine now. `problem` is a sentence about the last exit, or None."""

    status: EngineStatus
    keeper: ProcessIdentity | None = None
    engine_pid: int | None = None
    port: int | None = None
    url: str | None = None
    restarts: int = 0
    last_exit: Exit | None = None
    since: datetime | None = None
    problem: str | None = None

    @property
    def alive(self) -> bool:
        """Whether a keeper is at work, whatever its engine does."""
        return self.status in _LIVING

    def as_json(self) -> dict[str, Any]:
        """For answers and for state.json."""
        return {
            "status": self.status.value,
            "keeper": [self.keeper.pid, self.keeper.started_ticks, self.keeper.boot] if self.keeper else None,
            "engine_pid": self.engine_pid,
            "port": self.port,
            "url": self.url,
            "restarts": self.restarts,
            "last_exit": self.last_exit.as_json() if self.last_exit else None,
            "since": self.since.isoformat() if self.since else None,
            "problem": self.problem,
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> WorkstationState:
        return cls(
            EngineStatus(value["status"]),
            ProcessIdentity(*value["keeper"]) if value["keeper"] else None,
            value["engine_pid"],
            value["port"],
            value["url"],
            value["restarts"],
            Exit.from_json(value["last_exit"]) if value["last_exit"] else None,
            datetime.fromisoformat(value["since"]) if value["since"] else None,
            value["problem"],
        )


def state_file(project: Project) -> Path:
    """Written by the keeper only."""
    return project.run / "state.json"


def engine_log(project: Project) -> Path:
    """The engine's output, all starts of it."""
    return project.run / "engine.log"


def keeper_log(project: Project) -> Path:
    """What the keeper itself had to say; empty unless something is wrong with it."""
    return project.run / "keeper.log"


def start_workstation(
    project: Project, *, port: int | None = None, cpu: bool | None = None
) -> WorkstationState:
    """Start the engine under a keeper that outlives this process; one that runs already is left as it is.

    Returns as soon as the keeper is up (`wait_until_ready` waits for the engine). `port` None: a free one;
    `cpu` None: as the machine has it. Raises EngineMissing, or KeeperNotStarted.
    """
    now = workstation_state(project)
    if now.alive:
        return now
    if not (project.workstation.engine / "main.py").is_file():
        raise EngineMissing(project.workstation.engine)
    project.run.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-P", "-m", "workstation.keeper", str(project.root)]
    command += ["--port", str(port)] if port is not None else []
    command += ["--cpu", "yes" if cpu else "no"] if cpu is not None else []
    _spawn(project, command)
    return workstation_state(project)


def stop_workstation(project: Project, limit_seconds: float = STOP_LIMIT_SECONDS) -> WorkstationState:
    """Stop engine and keeper: SIGTERM, and SIGKILL after the limit. Repeatable. Raises StopFailed."""
    import signal

    state = workstation_state(project)
    if not state.alive or state.keeper is None:
        return state
    state.keeper.send(signal.SIGTERM)
    if not state.keeper.wait(limit_seconds):
        state.keeper.send(signal.SIGKILL)  # the kernel ends its engine with it
        if not state.keeper.wait(START_LIMIT_SECONDS):
            raise StopFailed(project.name, state.keeper.pid)
    return workstation_state(project)


def restart_workstation(project: Project, *, cpu: bool | None = None) -> WorkstationState:
    """Stop and start again, at the same address when it is still free; plugins are loaded anew."""
    before = stop_workstation(project)
    return start_workstation(project, port=before.port, cpu=cpu)


def workstation_state(project: Project) -> WorkstationState:
    """What state.json says, checked against the living process: a dead keeper is never reported alive."""
    try:
        state = WorkstationState.from_json(json.loads(state_file(project).read_text(encoding="utf-8")))
    except FileNotFoundError:
        return WorkstationState(EngineStatus.STOPPED)
    if not state.alive or (state.keeper is not None and state.keeper.alive):
        return state
    return WorkstationState(
        EngineStatus.FAILED,
        port=state.port,
        restarts=state.restarts,
        last_exit=state.last_exit,
        since=state.since,
        problem="Its keeper was killed, or the machine was restarted; start the workstation again.",
    )


def write_state(project: Project, state: WorkstationState) -> None:
    """For the keeper: replace state.json, by rename."""
    write_text(state_file(project), json.dumps(state.as_json(), indent=1))


def wait_until_ready(project: Project, limit_seconds: float = READY_LIMIT_SECONDS) -> WorkstationState:
    """Wait until GET /system_stats of the engine answers.

    Raises WorkstationNotRunning as soon as it is given up, NotReady when the limit has passed.
    """
    deadline = time.monotonic() + limit_seconds
    while True:
        state = workstation_state(project)
        if not state.alive:
            raise WorkstationNotRunning(project.name, state.status, state.problem)
        if state.status is EngineStatus.RUNNING and answers(f"{state.url}/system_stats"):
            return state
        if time.monotonic() >= deadline:
            raise NotReady(project.name, limit_seconds, engine_log(project))
        time.sleep(_POLL_SECONDS)


def follow_log(project: Project, stop: threading.Event, lines: int = 100) -> Iterator[str]:
    """The last lines of the engine's log, then each new line, until `stop` is set."""
    return follow(engine_log(project), stop, lines)


def _spawn(project: Project, command: list[str]) -> None:
    """The keeper leaves this process's session and returns once state.json says that it is there."""
    environment = {name: value for name, value in os.environ.items() if _PASSED_ON.fullmatch(name)}
    with keeper_log(project).open("wb") as log:
        try:
            done = subprocess.run(
                command,
                cwd=project.run,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                timeout=START_LIMIT_SECONDS,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise KeeperNotStarted(
                project.name, keeper_log(project), f"it did not come up within {START_LIMIT_SECONDS:g} s"
            ) from None
    if done.returncode != 0:
        reason = keeper_log(project).read_text(encoding="utf-8", errors="replace").strip().splitlines()
        raise KeeperNotStarted(
            project.name, keeper_log(project), reason[-1] if reason else "it gave no reason"
        )


def utc_now() -> datetime:
    """Now, aware."""
    return datetime.now(UTC)
