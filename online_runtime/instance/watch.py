"""Judging one start of the engine: starting, ready, busy or unhealthy.

Healthy is what answers on the serving path, on a port that the engine itself holds. Busy is not sick: an
engine that does not answer in time, has a job and makes progress on it is healthy.
"""

from __future__ import annotations

import os
import threading
import time
from dataclasses import dataclass
from pathlib import Path

from online_runtime.instance.probe import Answer, Prober
from online_runtime.instance.progress import Progress
from online_runtime.instance.sessions import cpu_ticks, listens
from online_runtime.instance.spec import InstanceState, PluginImport
from online_runtime.instance.started_engine import StartedEngine
from workstation.log import read_all
from workstation.plugins.imports import import_report

# A health call is answered within this time whatever the engine does: drivers wait 5 s for it.
PATIENCE_SECONDS = 2.0
TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Verdict:
    """One judgement. Job counts are the last ones that the engine told."""

    state: InstanceState
    running: int = 0
    pending: int = 0
    problem: str | None = None


class EngineWatch:
    """Watches one start of the engine; a restart gets a new one. Safe to ask from several threads."""

    def __init__(self, started: StartedEngine, log: Path, patience_seconds: float = PATIENCE_SECONDS) -> None:
        self.started = started
        self.plugins: tuple[PluginImport, ...] = ()
        self._log, self._patience_seconds = log, patience_seconds
        self._prober = Prober(started.port)
        self._lock = threading.Lock()
        self._verdict = Verdict(InstanceState.STARTING)
        self._progress = Progress(time.monotonic(), self._cpu_seconds(), self._log_bytes())
        self._ours = False

    def look(self) -> Verdict:
        """Ask the engine, and judge. Takes at most the patience."""
        answer = self._prober.ask(self._patience_seconds)
        with self._lock:
            now = time.monotonic()
            self._progress = self._progress.after(now, self._cpu_seconds(), self._log_bytes())
            self._verdict = self._judge(answer, now)
            return self._verdict

    def _judge(self, answer: Answer | None, now: float) -> Verdict:
        last = self._verdict
        if answer is not None and answer.ok:
            return self._answered(answer)
        if last.state is InstanceState.STARTING:
            return Verdict(InstanceState.STARTING, problem=answer.problem if answer else None)
        problem = "no answer to GET /queue yet" if answer is None else answer.problem
        has_job = last.running + last.pending > 0
        if (answer is None or answer.silent) and has_job and self._progress.moving(now):
            return Verdict(InstanceState.BUSY, last.running, last.pending, problem)
        state = last.state if answer is None else InstanceState.UNHEALTHY
        return Verdict(state, last.running, last.pending, problem)

    def _answered(self, answer: Answer) -> Verdict:
        if not self._ours and not listens(self.started.process, self.started.port):
            stranger = f"port {self.started.port} is held by another process, not by this engine"
            return Verdict(InstanceState.STARTING, problem=stranger)
        if not self._ours:
            self.plugins = plugin_imports(self._log)
            self._ours = True  # nobody else can listen there as long as this engine does
        return Verdict(InstanceState.READY, answer.running, answer.pending)

    def _cpu_seconds(self) -> float:
        return cpu_ticks(self.started.process) / TICKS_PER_SECOND

    def _log_bytes(self) -> int:
        try:
            return self._log.stat().st_size
        except FileNotFoundError:
            return 0


def plugin_imports(log: Path) -> tuple[PluginImport, ...]:
    """How the plugins imported at the last start that `log` tells of."""
    report = import_report(read_all(log))
    return tuple(
        PluginImport(name, found.ok, found.seconds, found.error, found.traceback)
        for name, found in report.items()
    )
