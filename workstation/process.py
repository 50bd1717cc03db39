"""The engine process of a workstation and of an instance: the names that others use, in one place."""

from __future__ import annotations

from workstation.command import (
    EngineCommand,
    EngineState,
    EngineStatus,
    Exit,
    ExitKind,
    RestartPolicy,
    exit_of,
)
from workstation.identity import ProcessIdentity
from workstation.keeping import (
    WorkstationState,
    engine_log,
    follow_log,
    restart_workstation,
    start_workstation,
    stop_workstation,
    wait_until_ready,
    workstation_state,
)
from workstation.ports import free_port
from workstation.supervision import answers, die_with_parent, run_engine

__all__ = [
    "EngineCommand",
    "EngineState",
    "EngineStatus",
    "Exit",
    "ExitKind",
    "ProcessIdentity",
    "RestartPolicy",
    "WorkstationState",
    "answers",
    "die_with_parent",
    "engine_log",
    "exit_of",
    "follow_log",
    "free_port",
    "restart_workstation",
    "run_engine",
    "start_workstation",
    "stop_workstation",
    "wait_until_ready",
    "workstation_state",
]
