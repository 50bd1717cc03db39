"""The agent of one instance: keeps its engine, answers for it, and writes down where both are."""

from __future__ import annotations

import fcntl
import os
import sys
import threading
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from online_runtime.instance.boot import REFUSAL
from online_runtime.instance.door import Door
from online_runtime.instance.errors import AlreadyRunning
from online_runtime.instance.handing import for_boot
from online_runtime.instance.redaction import Redaction
from online_runtime.instance.spec import InstanceFolder, InstanceReport, InstanceSpec, InstanceState
from online_runtime.instance.started_engine import read_started
from online_runtime.instance.state_file import AgentState, write_state
from online_runtime.instance.watch import EngineWatch, Verdict
from workstation.command import EngineCommand, EngineState, EngineStatus, Exit, RestartPolicy
from workstation.identity import ProcessIdentity
from workstation.supervision import run_engine

# An engine that ends three times within ten minutes is given up in seconds: the publisher has another
# snapshot to go back to.
POLICY = RestartPolicy(delays_seconds=(1, 2, 4, 8, 16, 32, 60), give_up_after=3, hopeless=(REFUSAL,))


class Agent:
    """One agent for one instance folder. Make it, then `run` it in the main thread."""

    def __init__(
        self,
        folder: InstanceFolder,
        spec: InstanceSpec,
        environment: Mapping[str, str],
        policy: RestartPolicy = POLICY,
        grace_seconds: float = 30.0,
        secrets: Mapping[str, str] | None = None,
    ) -> None:
        self.stop = threading.Event()
        self._folder, self._spec, self._policy = folder, spec, policy
        self._environment, self._grace_seconds = environment, grace_seconds
        self._secrets = dict(secrets or {})
        self._engine: EngineState | None = None
        self._watch: EngineWatch | None = None
        self._lock = threading.Lock()
        self._door = Door(self.report)
        agent = ProcessIdentity.of(os.getpid())
        assert agent is not None  # it is this process
        self._state = AgentState(agent, self._door.url)

    def run(self) -> Exit:
        """Keep the engine until `stop` is set. One that was given up is reported as failed until then."""
        write_state(self._folder, self._state)
        threading.Thread(target=self._door.serve_forever, daemon=True, name="door").start()
        last = run_engine(
            self._command(),
            self._folder.log,
            on_state=self._on_state,
            stop=self.stop,
            policy=self._policy,
            grace_seconds=self._grace_seconds,
            log_through=Redaction(self._secrets) if self._secrets else None,
        )
        self._write(final=self.report())
        self.stop.wait()
        return last

    def report(self) -> InstanceReport:
        """What is so now. Takes at most the patience of `watch`."""
        engine, watch = self._engine, self._current_watch()
        verdict = self._verdict(engine, watch)
        last_exit = engine.last_exit if engine else None
        return InstanceReport(
            instance_id=self._spec.instance_id,
            token=self._spec.token,
            snapshot_id=self._spec.snapshot_id,
            state=verdict.state,
            engine_url=watch.started.url if watch else None,
            engine_pid=engine.pid if engine else None,
            jobs_running=verdict.running,
            jobs_pending=verdict.pending,
            restarts=engine.restarts if engine else 0,
            isolation=watch.started.isolation if watch else self._last_isolation(),
            problem=verdict.problem,
            last_exit=last_exit.as_json() if last_exit else None,
            plugins=watch.plugins if watch else (),
        )

    def _verdict(self, engine: EngineState | None, watch: EngineWatch | None) -> Verdict:
        if engine is None:
            return Verdict(InstanceState.STARTING)
        sentence = engine.last_exit.sentence if engine.last_exit else None
        if engine.status is EngineStatus.RESTARTING:
            return Verdict(InstanceState.RESTARTING, problem=sentence)
        if engine.status in (EngineStatus.STOPPED, EngineStatus.STOPPING) and self.stop.is_set():
            return Verdict(InstanceState.STOPPED, problem=sentence)
        if engine.status in (EngineStatus.FAILED, EngineStatus.STOPPED):
            return Verdict(InstanceState.FAILED, problem=sentence)
        return watch.look() if watch else Verdict(InstanceState.STARTING, problem=sentence)

    def _on_state(self, engine: EngineState) -> None:
        with self._lock:
            self._engine = engine
        process = ProcessIdentity.of(engine.pid) if engine.pid is not None else None
        if process is not None or engine.pid is None:
            self._write(engine=process or self._state.engine)

    def _current_watch(self) -> EngineWatch | None:
        """The watch over the running engine; None while that has not said on which port it will serve."""
        with self._lock:
            pid = self._engine.pid if self._engine else None
            if pid is None:
                return None
            if self._watch is None or self._watch.started.process.pid != pid:
                started = read_started(self._folder)
                if started is None or started.process.pid != pid or not started.process.alive:
                    return None
                self._watch = EngineWatch(started, self._folder.log)
            return self._watch

    def _last_isolation(self) -> str:
        started = read_started(self._folder)
        return started.isolation if started else ""

    def _write(self, **changes: ProcessIdentity | InstanceReport | None) -> None:
        self._state = replace(self._state, **changes)  # type: ignore[arg-type]  # named fields of AgentState
        write_state(self._folder, self._state)

    def _command(self) -> EngineCommand:
        argv = (sys.executable, "-m", "online_runtime.instance.boot", str(self._folder.root))
        return EngineCommand(argv, Path("/"), {**self._environment, **for_boot(self._secrets)})


def hold(folder: InstanceFolder) -> int:
    """Take this instance for this process until it ends. Raises AlreadyRunning; the kernel gives it back."""
    handle = os.open(folder.agent_lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(handle)
        raise AlreadyRunning(folder.root) from None
    return handle
