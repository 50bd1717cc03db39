"""The process driver: each instance is an agent process on this machine, detached from whoever started it.

Everything is found again from the instance's folder, so a driver object holds no state that matters: a
restarted control plane makes a new one and sees the same instances.
"""

from __future__ import annotations

import contextlib
import hmac
import http.client
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

from online_runtime.instance.boot import MARK
from online_runtime.instance.handing import to_hand_over
from online_runtime.instance.sessions import marked_processes, session_members
from online_runtime.instance.spec import InstanceFolder, InstanceReport, InstanceSpec
from online_runtime.instance.state_file import AgentState, read_state
from publisher.drivers.contract import Observation, Presence
from publisher.drivers.errors import BadInstanceId, InstanceUnreadable, StartFailed, StillRunning, StopFailed
from publisher.drivers.instance_folders import agent_holds, forget, held, known_ids
from workstation.atomic import write_text
from workstation.identity import ProcessIdentity
from workstation.log import tail

INSTANCE_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
# What an agent inherits: what its engine may see (the engine's own list is applied again), and how Python is
# found.
PASSED_ON = re.compile(r"PATH|HOME|LANG|LC_\w+|CUDA_\w+|NVIDIA_\w+|LD_LIBRARY_PATH|TMPDIR|TZ|PYTHONPATH")

START_LIMIT_SECONDS = 30.0  # an agent says where it is in 0.2 s; a machine that swaps needs longer
LOOK_EVERY_SECONDS = 0.02
LAST_WORD_SECONDS = 5.0  # for the agent to write down how its killed engine ended
KILL_LIMIT_SECONDS = 10.0  # a process that survives SIGKILL for longer hangs in the kernel
REPORT_BYTES_LIMIT = 16 << 20
STRANGER = "another process answers at its door: the token in the reply is not this instance's"
KILLED = "its agent was killed, or the machine was restarted"


class ProcessDriver:
    """Instances as processes below the folder `instances` (HOME/run/instances).

    Safe to use from several threads. `python` must be able to import `online_runtime`. `environment` is what
    the agents' allow-list picks from.
    """

    name = "process"

    def __init__(
        self,
        instances: Path,
        python: Path = Path(sys.executable),
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self._instances, self._python = instances.absolute(), python
        given = os.environ if environment is None else environment
        self._environment = {name: value for name, value in given.items() if PASSED_ON.fullmatch(name)}
        self._children: dict[int, subprocess.Popen[bytes]] = {}
        self._children_lock = threading.Lock()

    def create(self, spec: InstanceSpec) -> None:
        """Start the agent and return when it has said where it is. One that runs already is left alone.

        Raises StartFailed, DriverOccupied or BadInstanceId.
        """
        folder = self._folder(spec.instance_id)
        folder.root.mkdir(parents=True, exist_ok=True, mode=0o700)
        with held(folder, spec.instance_id):
            if self._alive(self._state(folder)):
                return
            self._end_engine(self._state(folder), spec.instance_id)
            write_text(folder.spec, spec.to_json())
            child = self._spawn(folder)
            _hand_over(child, spec)
            self._wait_for_agent(folder, spec.instance_id, child)

    def inspect(self, instance_id: str, *, timeout_seconds: float = 5.0) -> Observation:
        """Look at one instance and ask it for its report. A reply with a wrong token counts as no reply."""
        folder = self._folder(instance_id)
        self._reap()
        if not folder.spec.is_file():
            return Observation(instance_id, Presence.ABSENT)
        try:
            state = self._state(folder)
        except InstanceUnreadable as error:
            return Observation(instance_id, Presence.ENDED, problem=str(error))
        if state is None or not state.agent.alive:
            return _ended(instance_id, state, folder)
        return _ask(instance_id, state.door, folder, timeout_seconds)

    def stop(self, instance_id: str, *, grace_seconds: float = 30.0) -> None:
        """SIGTERM, then after the grace SIGKILL, to the agent and all processes of its engine.

        Returns when they are gone. The agent itself gives its engine at most 30 s. Raises StopFailed or
        DriverOccupied.
        """
        folder = self._folder(instance_id)
        if not folder.root.is_dir():
            return
        with held(folder, instance_id):
            state = self._settled_state(folder)
            if state is None:
                return
            if self._alive(state) and state.agent.send(signal.SIGTERM):
                state.agent.wait(grace_seconds)
            self._end_engine(self._state(folder) or state, instance_id)
            if not state.agent.wait(LAST_WORD_SECONDS):
                _kill(instance_id, (state.agent,))
            self._end_engine(self._state(folder) or state, instance_id)
        self._reap()

    def logs(self, instance_id: str, *, lines: int = 200) -> tuple[str, ...]:
        """The last lines of the engine's log, or of the agent's own when no engine has written any."""
        folder = self._folder(instance_id)
        return tail(folder.log, lines) or tail(folder.agent_log, lines)

    def list(self) -> tuple[str, ...]:
        """Ids of all instances whose folders exist, running or ended, sorted."""
        return known_ids(self._instances)

    def changes(self) -> None:
        """None: agents are asked at their doors; nothing tells when they would answer otherwise."""

    def remove(self, instance_id: str) -> None:
        """Delete an ended instance's folder, its private layer included.

        Raises StillRunning or DriverOccupied.
        """
        folder = self._folder(instance_id)
        if not folder.root.is_dir():
            return
        with held(folder, instance_id):
            state = self._settled_state(folder)
            if self._alive(state) or (state and state.engine and session_members(state.engine)):
                raise StillRunning(instance_id)
            forget(folder)

    def _folder(self, instance_id: str) -> InstanceFolder:
        if not INSTANCE_ID.fullmatch(instance_id):
            raise BadInstanceId(instance_id)
        return InstanceFolder(self._instances / instance_id)

    def _state(self, folder: InstanceFolder) -> AgentState | None:
        try:
            return read_state(folder)
        except ValueError as error:
            raise InstanceUnreadable(folder.root.name, str(error)) from error

    def _settled_state(self, folder: InstanceFolder) -> AgentState | None:
        """The state; waits for an agent that has not said where it is: its starter may have been killed."""
        deadline = time.monotonic() + START_LIMIT_SECONDS
        while not self._alive(state := self._state(folder)) and agent_holds(folder):
            if time.monotonic() > deadline:
                raise StopFailed(folder.root.name, (), START_LIMIT_SECONDS)
            time.sleep(LOOK_EVERY_SECONDS)
        return state

    def _alive(self, state: AgentState | None) -> bool:
        return state is not None and state.agent.alive

    def _spawn(self, folder: InstanceFolder) -> subprocess.Popen[bytes]:
        log = os.open(folder.agent_log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        try:
            child = subprocess.Popen(
                (str(self._python), "-m", "online_runtime.instance", str(folder.root)),
                cwd="/",
                env=self._environment,
                stdin=subprocess.PIPE,  # for secrets, which are never written down
                stdout=log,
                stderr=log,
                close_fds=True,
                start_new_session=True,
            )
        finally:
            os.close(log)
        with self._children_lock:
            self._children[child.pid] = child
        return child

    def _wait_for_agent(
        self, folder: InstanceFolder, instance_id: str, child: subprocess.Popen[bytes]
    ) -> None:
        deadline = time.monotonic() + START_LIMIT_SECONDS
        while time.monotonic() < deadline:
            state = self._state(folder)
            if state is not None and state.agent.alive:
                return
            if child.poll() is not None and not agent_holds(folder):
                reason = f"its agent ended with code {child.returncode}"
                raise StartFailed(instance_id, reason, tail(folder.agent_log))
            time.sleep(LOOK_EVERY_SECONDS)
        child.kill()
        child.wait(KILL_LIMIT_SECONDS)
        reason = f"its agent did not say where it is within {START_LIMIT_SECONDS:g} s"
        raise StartFailed(instance_id, reason, tail(folder.agent_log))

    def _end_engine(self, state: AgentState | None, instance_id: str) -> None:
        """Kill what is left of the engine: its session, and what left that session but carries its mark."""
        if state is not None and state.engine is not None:
            _kill(instance_id, session_members(state.engine))
        _kill(instance_id, marked_processes(MARK, instance_id))

    def _reap(self) -> None:
        """Agents that this very process started and that have ended must not stay as zombies."""
        with self._children_lock:
            ended = [pid for pid, child in self._children.items() if child.poll() is not None]
            for pid in ended:
                del self._children[pid]


def _hand_over(child: subprocess.Popen[bytes], spec: InstanceSpec) -> None:
    assert child.stdin is not None  # asked for in _spawn
    with contextlib.suppress(BrokenPipeError), child.stdin as pipe:  # it ended: whoever waits for it says why
        pipe.write(to_hand_over(spec))


def _kill(instance_id: str, processes: tuple[ProcessIdentity, ...]) -> None:
    deadline = time.monotonic() + KILL_LIMIT_SECONDS
    for process in processes:
        process.send(signal.SIGKILL)
    left = tuple(p.pid for p in processes if not p.wait(max(0.0, deadline - time.monotonic())))
    if left:
        raise StopFailed(instance_id, left, KILL_LIMIT_SECONDS)


def _ended(instance_id: str, state: AgentState | None, folder: InstanceFolder) -> Observation:
    if state is None:
        return Observation(instance_id, Presence.ENDED, problem="its agent never came up")
    if state.final is None:
        return Observation(instance_id, Presence.ENDED, problem=KILLED)
    problem = state.final.problem or f"its agent ended while the instance was {state.final.state}"
    # The file does not repeat the token; it is the instance's own word all the same, from its closed folder.
    final = replace(state.final, token=_spec(folder).token)
    return Observation(instance_id, Presence.ENDED, report=final, problem=problem)


def _ask(instance_id: str, door: str, folder: InstanceFolder, timeout_seconds: float) -> Observation:
    def seen(report: InstanceReport | None, problem: str | None) -> Observation:
        return Observation(instance_id, Presence.RUNNING, door, report, problem)

    address = urlsplit(door)
    connection = http.client.HTTPConnection("127.0.0.1", address.port, timeout=timeout_seconds)
    try:
        connection.request("GET", "/health")
        reply = connection.getresponse()
        body = reply.read(REPORT_BYTES_LIMIT)
        report = InstanceReport.from_json(body)
    except (OSError, http.client.HTTPException) as error:
        return seen(None, f"its door did not answer: {error or type(error).__name__}")
    except (ValueError, KeyError, TypeError) as error:
        return seen(None, f"its door gave something that is not a report: {error!r}")
    finally:
        connection.close()
    return seen(None, STRANGER) if not _trusted(report, folder) else seen(report, report.problem)


def _spec(folder: InstanceFolder) -> InstanceSpec:
    return InstanceSpec.from_json(folder.spec.read_text(encoding="utf-8"))


def _trusted(report: InstanceReport, folder: InstanceFolder) -> bool:
    wanted = _spec(folder)
    same_id = report.instance_id == wanted.instance_id
    return hmac.compare_digest(report.token.encode(), wanted.token.encode()) and same_id
