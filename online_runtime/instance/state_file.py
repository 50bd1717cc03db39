"""`state.json`: where the agent and its engine are. Written by the agent only; read by drivers.

    {"pid", "started_at" (clock ticks), "boot", "door",
     "engine": {"pid", "started_at"} | null, "final": report | null}

`final` is the report with which the agent ended or gave up, without its token.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import Any

from online_runtime.instance.spec import InstanceFolder, InstanceReport
from workstation.atomic import write_text
from workstation.identity import ProcessIdentity


@dataclass(frozen=True)
class AgentState:
    """One moment of an agent. `engine` is the process that leads the engine's session."""

    agent: ProcessIdentity
    door: str
    engine: ProcessIdentity | None = None
    final: InstanceReport | None = None


def write_state(folder: InstanceFolder, state: AgentState) -> None:
    """By rename."""
    engine = state.engine
    values: dict[str, Any] = {
        "pid": state.agent.pid,
        "started_at": state.agent.started_ticks,
        "boot": state.agent.boot,
        "door": state.door,
        "engine": None if engine is None else {"pid": engine.pid, "started_at": engine.started_ticks},
        "final": None if state.final is None else json.loads(replace(state.final, token="").to_json()),
    }
    write_text(folder.state, json.dumps(values, indent=1))


def read_state(folder: InstanceFolder) -> AgentState | None:
    """The last state that an agent wrote; None when none ever did. Raises ValueError when it is damaged."""
    try:
        values = json.loads(folder.state.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    try:
        boot, engine, final = values["boot"], values["engine"], values["final"]
        return AgentState(
            agent=ProcessIdentity(values["pid"], values["started_at"], boot),
            door=values["door"],
            engine=None if engine is None else ProcessIdentity(engine["pid"], engine["started_at"], boot),
            final=None if final is None else InstanceReport.from_json(json.dumps(final)),
        )
    except (KeyError, TypeError) as error:
        raise ValueError(f"{folder.state} is not an agent's state: {error!r}") from error
