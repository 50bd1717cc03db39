"""Keeping one engine process: start, wait until it answers, restart with backoff, stop its group."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import subprocess
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from workstation.command import (
    START_MARK,
    EngineCommand,
    EngineState,
    EngineStatus,
    Exit,
    ExitKind,
    RestartPolicy,
    exit_of,
)
from workstation.log import Filter, RotatingLog, last_lines, pump
from workstation.memory import oom_kills

GRACE_SECONDS = 30.0  # between SIGTERM and SIGKILL: a running prompt may save its picture
_PROBE_TIMEOUT_SECONDS = 2.0
_PROBE_EVERY_SECONDS = 0.1
_WATCH_EVERY_SECONDS = 0.1
_DRAIN_SECONDS = 2.0  # for the last output, when a grandchild keeps the pipe open
_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None, use_errno=True)


def die_with_parent() -> None:
    """Ask the kernel to kill this process when the thread that started it ends.

    Call it between fork and exec, and again after a change of credentials or user namespace, which clears it.
    """
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def answers(url: str, timeout_seconds: float = _PROBE_TIMEOUT_SECONDS) -> bool:
    """Whether GET `url` gives a 2xx within the timeout. Proxies of the environment are not used."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(url, timeout=timeout_seconds) as reply:
            return 200 <= int(reply.status) < 300
    except (OSError, urllib.error.URLError, ValueError):
        return False


def run_engine(
    command: EngineCommand,
    log: Path,
    *,
    on_state: Callable[[EngineState], None],
    stop: threading.Event,
    policy: RestartPolicy | None = None,
    ready_url: str | None = None,
    grace_seconds: float = GRACE_SECONDS,
    max_log_bytes: int | None = None,
    log_through: Filter | None = None,
) -> Exit:
    """Run an engine until `stop` is set, it ends cleanly, or the policy gives it up; return its last exit.

    What it prints goes through `log_through` before it is kept anywhere.

    Call it from a thread that lives as long as the engine shall: both end together.
    """
    supervision = _Supervision(
        command, log, on_state, stop, policy or RestartPolicy(), ready_url, grace_seconds
    )
    supervision.log_through = log_through
    if max_log_bytes is not None:
        supervision.log.max_bytes = max_log_bytes
    try:
        return supervision.run()
    finally:
        supervision.log.close()


class _Supervision:
    def __init__(
        self,
        command: EngineCommand,
        log: Path,
        on_state: Callable[[EngineState], None],
        stop: threading.Event,
        policy: RestartPolicy,
        ready_url: str | None,
        grace_seconds: float,
    ) -> None:
        self.command, self.on_state, self.stop, self.policy = command, on_state, stop, policy
        self.ready_url, self.grace_seconds = ready_url, grace_seconds
        self.log = RotatingLog(log)
        self.log_through: Filter | None = None
        self.state = EngineState(EngineStatus.STARTING, None, 0, None, datetime.now(UTC))
        self.exits: list[Exit] = []
        self.telling = threading.Lock()

    def run(self) -> Exit:
        while True:
            last = self._once()
            self.exits.append(last)
            if self.stop.is_set() or last.kind is ExitKind.CLEAN:
                return self._ended(EngineStatus.STOPPED, last)
            delay = self.policy.delay_seconds(self.exits)
            if delay is None:
                return self._ended(EngineStatus.FAILED, last)
            self._say(f"{last.sentence} Starting it again in {delay:g} s.")
            self._tell(EngineStatus.RESTARTING, pid=None, last_exit=last, restarts=self.state.restarts + 1)
            if self.stop.wait(delay):
                return self._ended(EngineStatus.STOPPED, last)

    def _once(self) -> Exit:
        """One life of the engine, from start to the end of its whole group."""
        kills_before = oom_kills()
        self._say(f"{START_MARK} at {datetime.now(UTC).isoformat()}")
        try:
            child = self._spawn()
        except OSError as error:
            self._say(f"The engine could not be started: {error}")
            return exit_of(127, killed_for_memory=False, at=datetime.now(UTC), log_tail=(str(error),))
        output: list[bytes] = []
        assert child.stdout is not None  # asked for in _spawn
        copied = (child.stdout, self.log, output, self.log_through)
        reader = threading.Thread(target=pump, args=copied, daemon=True)
        reader.start()
        self._tell(EngineStatus.STARTING, pid=child.pid)
        self._watch(child)
        reader.join(_DRAIN_SECONDS)
        if not reader.is_alive():
            child.stdout.close()
        return exit_of(
            child.returncode,
            killed_for_memory=oom_kills() > kills_before,
            at=datetime.now(UTC),
            log_tail=last_lines(b"".join(output)),
        )

    def _spawn(self) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            self.command.argv,
            cwd=self.command.cwd,
            env=dict(self.command.environment),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            bufsize=0,
            start_new_session=True,
            preexec_fn=die_with_parent,
        )

    def _watch(self, child: subprocess.Popen[bytes]) -> None:
        """Return when the child and its group are gone; report when it answers; end it when asked to stop."""
        ended = threading.Event()
        if self.ready_url:
            threading.Thread(target=self._report_ready, args=(child.pid, ended), daemon=True).start()
        while not _ended_within(child, _WATCH_EVERY_SECONDS):
            if self.stop.is_set():
                self._tell(EngineStatus.STOPPING)
                _end_group(child, self.grace_seconds)
                break
        ended.set()
        _kill_group(child.pid)  # what the engine started must not outlive it

    def _report_ready(self, pid: int, ended: threading.Event) -> None:
        assert self.ready_url is not None  # the caller asked for it
        while not ended.is_set() and not answers(self.ready_url):
            ended.wait(_PROBE_EVERY_SECONDS)
        with self.telling:
            if not ended.is_set() and self.state.pid == pid and self.state.status is EngineStatus.STARTING:
                self._change(EngineStatus.RUNNING)

    def _ended(self, status: EngineStatus, last: Exit) -> Exit:
        self._say(
            f"{last.sentence} It is not started again." if status is EngineStatus.FAILED else last.sentence
        )
        self._tell(status, pid=None, last_exit=last)
        return last

    def _tell(self, status: EngineStatus, **changes: int | Exit | None) -> None:
        with self.telling:
            self._change(status, **changes)

    def _change(self, status: EngineStatus, **changes: int | Exit | None) -> None:
        self.state = replace(self.state, status=status, since=datetime.now(UTC), **changes)  # type: ignore[arg-type]  # named fields of EngineState
        self.on_state(self.state)

    def _say(self, sentence: str) -> None:
        mark = "" if sentence.startswith(START_MARK) else "[stillframe] "
        self.log.write(f"{mark}{sentence}\n".encode())


def _ended_within(child: subprocess.Popen[bytes], seconds: float) -> bool:
    try:
        child.wait(seconds)
    except subprocess.TimeoutExpired:
        return False
    return True


def _end_group(child: subprocess.Popen[bytes], grace_seconds: float) -> None:
    """SIGTERM to the group, SIGKILL to what is left after the grace."""
    deadline = time.monotonic() + grace_seconds
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child.pid, signal.SIGTERM)
    if not _ended_within(child, max(0.0, deadline - time.monotonic())):
        _kill_group(child.pid)
        child.wait()


def _kill_group(group: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, signal.SIGKILL)
