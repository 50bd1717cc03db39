"""The process that keeps a workstation's engine.

    python -m workstation.keeper PROJECT_ROOT [--port N] [--cpu yes|no]

It detaches itself, writes state.json, runs the engine under the restart policy and ends on SIGTERM. Standard
library only: it stays small, and it is what keeps running when everything else is upgraded.
"""

from __future__ import annotations

import argparse
import fcntl
import os
import signal
import sys
import threading
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from workstation.command import EngineState, EngineStatus, Exit, RestartPolicy
from workstation.engines import engine_command, has_gpu
from workstation.identity import ProcessIdentity
from workstation.keeping import WorkstationState, engine_log, utc_now, write_state
from workstation.layout import Project
from workstation.ports import free_port
from workstation.supervision import run_engine

HOST = "127.0.0.1"
PORT_TAKEN = ("ddress already in use", "Errno 98")
PORT_ATTEMPTS = 5
POLICY = RestartPolicy(hopeless=PORT_TAKEN)
_ALREADY_KEPT = 75
# A person watches: pictures of the steps are worth their time. Online nobody sees them. A project's own
# arguments come later and count more.
PREVIEWS = ("--preview-method", "auto")


class _Keeper:
    def __init__(self, project: Project, port: int | None, cpu: bool, arguments: tuple[str, ...]) -> None:
        self.project, self.port, self.cpu, self.arguments = project, port, cpu, arguments
        self.stop = threading.Event()
        identity = ProcessIdentity.of(os.getpid())
        self.state = WorkstationState(EngineStatus.STARTING, keeper=identity, since=utc_now())

    def run(self) -> None:
        for attempt in range(PORT_ATTEMPTS):
            port = free_port(self.port if attempt == 0 else None, HOST)
            last = self._serve(port)
            if self.state.status is not EngineStatus.FAILED or not _port_was_taken(last):
                return

    def _serve(self, port: int) -> Exit:
        url = f"http://{HOST}:{port}"
        self.state = replace(self.state, port=port, url=url)
        command = engine_command(
            self.project.workstation,
            listen=HOST,
            port=port,
            cpu=self.cpu,
            extra=(*PREVIEWS, *self.arguments),
        )
        return run_engine(
            command,
            engine_log(self.project),
            on_state=self.tell,
            stop=self.stop,
            policy=POLICY,
            ready_url=f"{url}/system_stats",
        )

    def tell(self, engine: EngineState) -> None:
        """Write what the engine does now; a restart after a memory kill is said so until the next state."""
        over = engine.status in (EngineStatus.STOPPED, EngineStatus.FAILED)
        problem = engine.last_exit.sentence if engine.last_exit else None
        if engine.status is EngineStatus.STOPPED and self.stop.is_set():
            problem = None
        self.state = replace(
            self.state,
            status=engine.status,
            engine_pid=engine.pid,
            restarts=engine.restarts,
            last_exit=engine.last_exit,
            since=engine.since,
            url=None if over else self.state.url,
            problem=problem,
        )
        write_state(self.project, self.state)


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point; returns in the starter's process once the detached keeper is at work."""
    given = _parse(argv)
    root: Path = given.project_root.absolute()
    project = Project(root.name, root)
    ready, tell_ready = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(ready)
        os.setsid()
        _keep(project, given, tell_ready)
        os._exit(0)
    os.close(tell_ready)
    told = os.read(ready, 1)
    if told == b"r":
        return 0
    _, status = os.waitpid(child, 0)
    code = os.waitstatus_to_exitcode(status)
    # Somebody else was faster: the workstation is kept, which is what was asked for.
    return 0 if code == _ALREADY_KEPT else code or 1


def _keep(project: Project, given: argparse.Namespace, tell_ready: int) -> None:
    with (project.run / "keeper.lock").open("w", encoding="ascii") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os._exit(_ALREADY_KEPT)
        cpu = not has_gpu() if given.cpu is None else given.cpu == "yes"
        keeper = _Keeper(project, given.port, cpu, _arguments(project))
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: keeper.stop.set())
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        write_state(project, keeper.state)
        os.write(tell_ready, b"r")
        os.close(tell_ready)
        keeper.run()


def _arguments(project: Project) -> tuple[str, ...]:
    import tomllib

    values = tomllib.loads(project.file.read_text(encoding="utf-8"))
    return tuple(values.get("arguments", ()))


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="workstation.keeper")
    parser.add_argument("project_root", type=Path)
    parser.add_argument("--port", type=int)
    parser.add_argument("--cpu", choices=("yes", "no"))
    return parser.parse_args(argv)


def _port_was_taken(last: Exit) -> bool:
    return any(text in line for line in last.log_tail for text in PORT_TAKEN)


if __name__ == "__main__":
    sys.exit(main())
