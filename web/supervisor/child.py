"""One kept process: started with its log, restarted with a growing pause when it dies, ended with a grace."""

from __future__ import annotations

import ctypes
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from web.supervisor.identity import Identity, identity_of

PAUSES_SECONDS = (0.5, 1.0, 2.0, 5.0, 10.0, 30.0)
SETTLED_SECONDS = 60.0  # a child that ran this long starts its pauses anew
LOG_BYTES = 10 * 1024 * 1024  # a longer log is put aside, so that there are two of about this size at most
PR_SET_PDEATHSIG = 1

_libc = ctypes.CDLL(None, use_errno=True)


class Child:
    """A part of the platform. `outlives` is True for the gateway.

    A killed supervisor must not take the data plane with it.
    """

    def __init__(self, name: str, command: Sequence[str], log: Path, *, outlives: bool = False) -> None:
        self.name, self.command, self.log, self.outlives = name, tuple(command), log, outlives
        self.identity: Identity | None = None
        self.restarts = 0
        self.exit_code: int | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._started = 0.0
        self._next_start = 0.0
        self._failures = 0

    def start(self, *extra: str, pass_fds: Sequence[int] = ()) -> None:
        """Start it; `extra` arguments and file descriptors are for this start only."""
        _put_aside(self.log)
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", *self.command, *extra],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=tuple(pass_fds),
                preexec_fn=None if self.outlives else _die_with(os.getpid()),
            )
        self._started = time.monotonic()
        self.exit_code = None
        self.identity = identity_of(self._process.pid)

    def adopt(self, identity: Identity) -> None:
        """Keep a process that a killed supervisor left running."""
        self.identity, self._started = identity, time.monotonic()

    @property
    def alive(self) -> bool:
        if self._process is not None:
            self.exit_code = self._process.poll()
            return self.exit_code is None
        return self.identity is not None and self.identity.alive

    def keep(self, now: float) -> bool:
        """Start it again when it has died and its pause is over. True when it was started."""
        _put_aside(self.log)
        if self.alive:
            return False
        if self._next_start == 0.0:
            settled = now - self._started > SETTLED_SECONDS
            self._failures = 0 if settled else self._failures + 1
            pause = PAUSES_SECONDS[min(self._failures, len(PAUSES_SECONDS) - 1)]
            self._next_start = now + pause
            self._note(f"the {self.name} ended ({self.ending}); starting it again in {pause:g} s")
        if now < self._next_start:
            return False
        self._next_start = 0.0
        self.restarts += 1
        self.start()
        return True

    @property
    def ending(self) -> str:
        """How it ended, in words."""
        if self.exit_code is None:
            return "ended"
        if self.exit_code < 0:
            return f"killed by {signal.Signals(-self.exit_code).name}"
        return f"exit code {self.exit_code}"

    def ask_to_end(self) -> None:
        if self.identity is not None:
            self.identity.signal(signal.SIGTERM)

    def end(self, deadline: float) -> None:
        """Return when it is gone: by itself until `deadline` (monotonic), killed after."""
        wait_for(lambda: not self.alive, deadline)
        if self.alive and self.identity is not None:
            self._note(f"the {self.name} did not end in time and is killed")
            self.identity.signal(signal.SIGKILL)
            wait_for(lambda: not self.alive, time.monotonic() + 5.0)

    def tail(self, lines: int = 5) -> tuple[str, ...]:
        """The last lines of its log that are not empty."""
        try:
            text = self.log.read_bytes()[-16_384:].decode("utf-8", "replace")
        except FileNotFoundError:
            return ()
        return tuple(line for line in text.splitlines() if line.strip())[-lines:]

    def _note(self, sentence: str) -> None:
        sys.stderr.write(f"stillframe: {sentence}\n")


def wait_for(condition: Callable[[], bool], deadline: float, pause_seconds: float = 0.02) -> bool:
    """Wait until `condition()` or the monotonic `deadline`; returns whether it held."""
    while not condition():
        if time.monotonic() >= deadline:
            return False
        time.sleep(pause_seconds)
    return True


def _die_with(parent: int) -> Callable[[], None]:
    def arm() -> None:
        _libc.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != parent:  # the parent died before the line above
            os._exit(1)

    return arm


def _put_aside(log: Path) -> None:
    """Copied and emptied, not renamed: whoever writes to it has it open for appending, and goes on with it.

    What is written between the two is lost, which is a line or none.
    """
    if log.exists() and log.stat().st_size > LOG_BYTES:
        shutil.copyfile(log, log.with_suffix(".log.1"))
        os.truncate(log, 0)
