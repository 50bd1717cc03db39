"""What is started, how it ended, and when it is started again. Pure."""

from __future__ import annotations

import signal
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Any

START_MARK = "[stillframe] engine starts"
KILLED_EXIT_CODE = 128 + signal.SIGKILL  # how shells and container engines report a SIGKILL


@dataclass(frozen=True)
class EngineCommand:
    """How an engine is started: nothing is inherited beyond `environment`."""

    argv: tuple[str, ...]
    cwd: Path
    environment: Mapping[str, str]


class ExitKind(StrEnum):
    """How a process ended. CUDA's out-of-memory text is an error; only the kernel's kill is out-of-memory."""

    CLEAN = "clean"
    ERROR = "error"
    SIGNAL = "signal"
    OUT_OF_MEMORY = "out-of-memory"


@dataclass(frozen=True)
class Exit:
    """One end of an engine process. `code` or `signal` is set; `log_tail` holds its last lines."""

    kind: ExitKind
    code: int | None
    signal: str | None
    at: datetime
    log_tail: tuple[str, ...] = ()

    @property
    def sentence(self) -> str:
        """The exit in words."""
        if self.kind is ExitKind.OUT_OF_MEMORY:
            return "The kernel killed the engine because the machine ran out of memory."
        if self.kind is ExitKind.SIGNAL:
            return f"The engine was ended by {self.signal}."
        return f"The engine ended with code {self.code}."

    def as_json(self) -> dict[str, Any]:
        return {**asdict(self), "kind": self.kind.value, "at": self.at.isoformat()}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Exit:
        return cls(
            ExitKind(value["kind"]),
            value["code"],
            value["signal"],
            datetime.fromisoformat(value["at"]),
            tuple(value["log_tail"]),
        )


def exit_of(returncode: int, *, killed_for_memory: bool, at: datetime, log_tail: Sequence[str]) -> Exit:
    """Classify a return code as `Popen.returncode` gives it (negative: a signal)."""
    tail = tuple(log_tail)
    if returncode == 0:
        return Exit(ExitKind.CLEAN, 0, None, at, tail)
    if returncode == KILLED_EXIT_CODE or (returncode == -signal.SIGKILL and killed_for_memory):
        code = returncode if returncode > 0 else None
        return Exit(ExitKind.OUT_OF_MEMORY, code, signal.SIGKILL.name, at, tail)
    if returncode < 0:
        return Exit(ExitKind.SIGNAL, None, _signal_name(-returncode), at, tail)
    return Exit(ExitKind.ERROR, returncode, None, at, tail)


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


@dataclass(frozen=True)
class RestartPolicy:
    """When an engine that ended unasked is started again, and when it is given up.

    The n-th exit within `window_seconds` waits `delays_seconds[n-1]` (the last one repeats); the
    `give_up_after`-th is final. An exit whose log tail holds one of `hopeless` is final at once.
    """

    delays_seconds: tuple[float, ...] = (1, 2, 4, 8, 16, 32, 60)
    give_up_after: int = 5
    window_seconds: float = 600
    hopeless: tuple[str, ...] = ()

    def delay_seconds(self, exits: Sequence[Exit]) -> float | None:
        """How long to wait after the last of `exits` (oldest first); None means: give up."""
        last = exits[-1]
        recent = sum((last.at - exit.at).total_seconds() < self.window_seconds for exit in exits)
        if recent >= self.give_up_after or any(
            text in line for text in self.hopeless for line in last.log_tail
        ):
            return None
        return self.delays_seconds[min(recent, len(self.delays_seconds)) - 1]


class EngineStatus(StrEnum):
    """What an engine's keeper says of it."""

    STARTING = "starting"
    RUNNING = "running"
    RESTARTING = "restarting"
    STOPPING = "stopping"
    STOPPED = "stopped"
    FAILED = "failed"


@dataclass(frozen=True)
class EngineState:
    """One moment of a supervised engine. `restarts` counts starts after the first."""

    status: EngineStatus
    pid: int | None
    restarts: int
    last_exit: Exit | None
    since: datetime
