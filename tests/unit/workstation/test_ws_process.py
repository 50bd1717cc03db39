"""The engine's process: real processes, real signals."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path

from workstation.command import EngineCommand, EngineState, EngineStatus, ExitKind, RestartPolicy
from workstation.identity import ProcessIdentity
from workstation.log import RotatingLog, follow, tail
from workstation.ports import free_port
from workstation.supervision import run_engine

FAST = RestartPolicy(delays_seconds=(0.01,), give_up_after=3)
LIMIT_SECONDS = 20.0


def until(condition, what: str) -> None:
    deadline = time.monotonic() + LIMIT_SECONDS
    while not condition():
        assert time.monotonic() < deadline, f"{what} did not happen in {LIMIT_SECONDS} s"
        time.sleep(0.01)


class Run:
    """run_engine of a small script in a thread."""

    def __init__(self, folder: Path, script: str, policy: RestartPolicy = FAST, **options) -> None:
        self.states: list[EngineState] = []
        self.stop = threading.Event()
        self.log = folder / "engine.log"
        self.exit = None
        command = EngineCommand(
            (sys.executable, "-c", textwrap.dedent(script)), folder, {"PATH": os.environ["PATH"]}
        )

        def work() -> None:
            self.exit = run_engine(
                command, self.log, on_state=self.states.append, stop=self.stop, policy=policy, **options
            )

        self.thread = threading.Thread(target=work)
        self.thread.start()

    def end(self):
        self.thread.join(LIMIT_SECONDS)
        assert not self.thread.is_alive()
        return self.exit

    def statuses(self) -> list[str]:
        return [state.status.value for state in self.states]


def test_a_clean_exit_is_not_restarted(tmp_path):
    run = Run(tmp_path, "print('done')")
    assert run.end().kind is ExitKind.CLEAN
    assert run.exit.log_tail == ("done",)
    assert run.statuses() == ["starting", "stopped"]


def test_an_engine_that_keeps_failing_is_restarted_then_given_up_with_its_last_words(tmp_path):
    run = Run(tmp_path, "import sys; print('CUDA out of memory', flush=True); sys.exit(3)")
    last = run.end()
    assert (last.kind, last.code) == (ExitKind.ERROR, 3)
    assert last.log_tail == ("CUDA out of memory",)
    assert run.states[-1].status is EngineStatus.FAILED
    assert run.states[-1].restarts == 2


def test_a_kill_by_hand_is_a_signal_not_out_of_memory(tmp_path):
    run = Run(tmp_path, "import os, signal; os.kill(os.getpid(), signal.SIGKILL)")
    assert (run.end().kind, run.exit.signal) == (ExitKind.SIGNAL, "SIGKILL")


def test_a_kill_while_the_kernel_counts_one_is_out_of_memory(tmp_path, monkeypatch):
    counts = iter(range(100))
    monkeypatch.setattr("workstation.supervision.oom_kills", lambda: next(counts))
    run = Run(tmp_path, "import os, signal; os.kill(os.getpid(), signal.SIGKILL)")
    assert run.end().kind is ExitKind.OUT_OF_MEMORY
    assert "ran out of memory. Starting it again" in run.log.read_text()


def test_a_program_that_is_not_there_is_an_error_with_its_name(tmp_path):
    command = EngineCommand((str(tmp_path / "no-python"),), tmp_path, {})
    last = run_engine(command, tmp_path / "log", on_state=lambda _: None, stop=threading.Event(), policy=FAST)
    assert (last.kind, last.code) == (ExitKind.ERROR, 127)
    assert "no-python" in last.log_tail[0]


def test_a_stop_ends_the_whole_group(tmp_path):
    script = """
        import subprocess, sys, time
        child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
        print("child", child.pid, flush=True)
        time.sleep(600)
    """
    run = Run(tmp_path, script)
    until(lambda: run.log.is_file() and "child" in run.log.read_text(), "the start")
    child = int(run.log.read_text().split("child ")[1].split()[0])
    run.stop.set()
    assert run.end().signal == "SIGTERM"
    assert run.statuses()[-2:] == ["stopping", "stopped"]
    until(lambda: ProcessIdentity.of(child) is None, "the end of the child")


def test_an_engine_that_ignores_sigterm_is_killed_after_the_grace(tmp_path):
    script = """
        import signal, time
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        print("up", flush=True)
        time.sleep(600)
    """
    run = Run(tmp_path, script, grace_seconds=0.2)
    until(lambda: run.log.is_file() and "up" in run.log.read_text(), "the start")
    run.stop.set()
    assert run.end().signal == "SIGKILL"


def test_a_stop_during_the_backoff_ends_at_once(tmp_path):
    run = Run(tmp_path, "raise SystemExit(1)", RestartPolicy(delays_seconds=(600,)))
    until(lambda: "restarting" in run.statuses(), "the restart")
    run.stop.set()
    assert run.end().code == 1


def test_an_engine_is_running_only_when_it_answers(tmp_path):
    port = free_port()
    script = f"""
        import http.server
        class Door(http.server.BaseHTTPRequestHandler):
            asked = 0
            def do_GET(self):
                Door.asked += 1
                self.send_response(500 if Door.asked < 3 else 200)
                self.end_headers()
        http.server.HTTPServer(("127.0.0.1", {port}), Door).serve_forever()
    """
    run = Run(tmp_path, script, ready_url=f"http://127.0.0.1:{port}/system_stats")
    until(lambda: "running" in run.statuses(), "the answer")
    run.stop.set()
    run.end()
    assert run.statuses() == ["starting", "running", "stopping", "stopped"]


def test_no_engine_outlives_its_keeper(tmp_path):
    script = f"""
        import sys, threading
        from pathlib import Path
        from workstation.process import EngineCommand, run_engine
        command = EngineCommand((sys.executable, "-c", "import time; time.sleep(600)"), Path("/"), {{}})
        run_engine(command, Path({str(tmp_path / "log")!r}), stop=threading.Event(),
                   on_state=lambda state: print(state.pid, flush=True))
    """
    keeper = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(script)], stdout=subprocess.PIPE, text=True
    )
    assert keeper.stdout is not None
    engine = int(keeper.stdout.readline())
    assert ProcessIdentity.of(engine) is not None
    keeper.kill()
    keeper.wait()
    keeper.stdout.close()
    until(lambda: ProcessIdentity.of(engine) is None, "the end of the engine")


def test_a_recycled_pid_is_another_process_and_is_never_signalled():
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    try:
        real = ProcessIdentity.of(child.pid)
        assert real is not None
        stale = ProcessIdentity(real.pid, real.started_ticks - 1, real.boot)
        assert not stale.alive
        assert not stale.send(signal.SIGKILL)
        assert stale.wait(0)
        assert child.poll() is None
        assert real.send(signal.SIGKILL)
        assert real.wait(LIMIT_SECONDS)
    finally:
        child.kill()
        child.wait()


def test_the_log_is_rotated_by_size_and_its_tail_reaches_back(tmp_path):
    log = RotatingLog(tmp_path / "log", max_bytes=1000)
    for number in range(200):
        log.write(f"line {number}\n".encode())
    log.close()
    assert (tmp_path / "log").stat().st_size <= 1000
    assert (tmp_path / "log.1").stat().st_size <= 1000
    assert tail(tmp_path / "log", 100) == tuple(f"line {n}" for n in range(100, 200))


def test_a_follower_sees_each_line_once_through_rotations(tmp_path):
    log, stop, seen = RotatingLog(tmp_path / "log", max_bytes=400), threading.Event(), []
    log.write(b"line 0\n")

    def read() -> None:
        seen.extend(follow(tmp_path / "log", stop))

    def collected() -> list[str]:
        return list(seen)

    reader = threading.Thread(target=lambda: [seen.append(line) for line in follow(tmp_path / "log", stop)])
    reader.start()
    for number in range(1, 150):
        log.write(f"line {number}\n".encode())
        if number % 30 == 0:  # a follower that is slower than two rotations must lose lines; this one is not
            until(lambda wanted=f"line {number}": wanted in collected(), f"line {number}")
    stop.set()
    reader.join(LIMIT_SECONDS)
    log.close()
    assert seen == [f"line {n}" for n in range(150)]


def test_a_disk_that_refuses_the_log_never_ends_the_engine(tmp_path):
    log = RotatingLog(Path("/dev/full"))
    log.write(b"lost")
    assert log.lost_bytes == 4
    log.close()


def test_a_preferred_port_is_taken_when_free_and_replaced_when_not():
    import socket

    port = free_port()
    assert free_port(port) == port
    with socket.socket() as door:
        door.bind(("127.0.0.1", port))
        door.listen()
        assert free_port(port) != port
