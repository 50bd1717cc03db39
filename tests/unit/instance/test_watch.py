"""Telling ready, busy, stuck and foreign engines apart, on real sockets and processes."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from online_runtime.instance.probe import Prober, ask_queue
from online_runtime.instance.progress import STALL_SECONDS, Progress
from online_runtime.instance.sessions import cpu_ticks, listens, session_members
from online_runtime.instance.spec import InstanceState
from online_runtime.instance.started_engine import StartedEngine
from online_runtime.instance.watch import EngineWatch, Verdict
from workstation.identity import ProcessIdentity

LIMIT_SECONDS = 20.0
# Answers /queue, and hangs as long as the file named by its first argument exists.
ENGINE = """
import http.server, json, pathlib, sys, threading, time
jobs = [["job"]] if sys.argv[2] == "job" else []
class Door(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        while pathlib.Path(sys.argv[1]).exists():
            time.sleep(0.01)
        body = json.dumps({"queue_running": jobs, "queue_pending": []}).encode()
        self.send_response(200); self.send_header("Content-Length", str(len(body))); self.end_headers()
        self.wfile.write(body)
    def log_message(self, *a): pass
server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Door)
print(server.server_address[1], flush=True)
server.serve_forever()
"""


class Engine:
    def __init__(self, folder: Path, job: bool) -> None:
        self.hang, self.log = folder / "hang", folder / "engine.log"
        self.log.touch()
        argv = (sys.executable, "-c", ENGINE, str(self.hang), "job" if job else "idle")
        self.process = subprocess.Popen(argv, stdout=subprocess.PIPE, text=True, start_new_session=True)
        assert self.process.stdout is not None
        self.port = int(self.process.stdout.readline())

    @property
    def started(self) -> StartedEngine:
        identity = ProcessIdentity.of(self.process.pid)
        assert identity is not None
        return StartedEngine(self.port, identity, "namespace")

    def watch(self) -> EngineWatch:
        return EngineWatch(self.started, self.log, patience_seconds=0.3)


@pytest.fixture
def make_engine(tmp_path: Path) -> Iterator[Callable[[bool], Engine]]:
    made: list[Engine] = []

    def make(job: bool) -> Engine:
        made.append(Engine(tmp_path, job))
        return made[-1]

    yield make
    for engine in made:
        engine.process.kill()
        engine.process.wait()


def until(watch: EngineWatch, state: InstanceState, meanwhile: Callable[[], object]) -> Verdict:
    deadline = time.monotonic() + LIMIT_SECONDS
    while (verdict := watch.look()).state is not state:
        assert time.monotonic() < deadline, verdict
        meanwhile()
    return verdict


def test_an_engine_that_answers_on_its_own_port_is_ready(make_engine: Callable[[bool], Engine]) -> None:
    watch = make_engine(True).watch()
    assert watch.look() == Verdict(InstanceState.READY, running=1)


def test_a_silent_engine_with_a_job_and_progress_is_busy(make_engine: Callable[[bool], Engine]) -> None:
    engine = make_engine(True)
    watch = engine.watch()
    watch.look()
    engine.hang.touch()

    def work() -> None:
        with engine.log.open("a") as log:
            log.write("step\n")

    verdict = until(watch, InstanceState.BUSY, work)
    assert verdict.running == 1
    assert verdict.problem is not None
    engine.hang.unlink()
    until(watch, InstanceState.READY, work)


@pytest.mark.slow
def test_a_silent_engine_with_progress_but_no_job_is_unhealthy(
    make_engine: Callable[[bool], Engine],
) -> None:
    engine = make_engine(False)
    watch = engine.watch()
    watch.look()
    engine.hang.touch()
    until(watch, InstanceState.UNHEALTHY, lambda: engine.log.open("a").write("noise\n"))


def test_an_engine_that_never_answered_is_starting(tmp_path: Path) -> None:
    with ThreadingHTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler) as unused:
        port = unused.server_address[1]
    sleeper = subprocess.Popen(("sleep", "60"), start_new_session=True)
    identity = ProcessIdentity.of(sleeper.pid)
    assert identity is not None
    verdict = EngineWatch(StartedEngine(port, identity, "copy"), tmp_path / "log").look()
    sleeper.kill()
    sleeper.wait()
    assert verdict.state is InstanceState.STARTING
    assert verdict.problem is not None
    assert "refused" in verdict.problem


def test_a_stranger_on_the_engines_port_is_not_taken_for_the_engine(
    make_engine: Callable[[bool], Engine], tmp_path: Path
) -> None:
    stranger = make_engine(False)
    sleeper = subprocess.Popen(("sleep", "60"), start_new_session=True)
    identity = ProcessIdentity.of(sleeper.pid)
    assert identity is not None
    verdict = EngineWatch(StartedEngine(stranger.port, identity, "copy"), tmp_path / "log").look()
    sleeper.kill()
    sleeper.wait()
    assert verdict.state is InstanceState.STARTING
    assert verdict.problem is not None
    assert "another process" in verdict.problem


def test_only_the_session_that_listens_is_said_to_listen(make_engine: Callable[[bool], Engine]) -> None:
    first, second = make_engine(False), make_engine(False)
    assert listens(first.started.process, first.port)
    assert not listens(first.started.process, second.port)


def test_a_session_is_its_leader_and_what_it_started() -> None:
    shell = subprocess.Popen(
        ("sh", "-c", "sleep 60 & echo $!; wait"), stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    assert shell.stdout is not None
    child = int(shell.stdout.readline())
    leader = ProcessIdentity.of(shell.pid)
    assert leader is not None
    assert {member.pid for member in session_members(leader)} == {shell.pid, child}
    assert cpu_ticks(leader) >= 0
    reused = ProcessIdentity(leader.pid, leader.started_ticks - 1, leader.boot)
    assert session_members(reused) == ()
    for member in session_members(leader):
        member.send(9)  # type: ignore[arg-type]
    shell.wait()


class _Counting(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        server: Any = self.server
        with server.lock:
            server.calls += 1
        server.open.wait(LIMIT_SECONDS)
        body = json.dumps({"queue_running": [], "queue_pending": [[1]]}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def counting() -> Iterator[Any]:
    server: Any = ThreadingHTTPServer(("127.0.0.1", 0), _Counting)
    server.calls, server.lock, server.open = 0, threading.Lock(), threading.Event()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.open.set()
    server.shutdown()
    server.server_close()


def test_probes_of_a_hanging_engine_do_not_pile_up(counting: Any) -> None:
    prober = Prober(counting.server_address[1])
    assert [prober.ask(0.01) for _ in range(20)] == [None] * 20
    assert counting.calls <= 1
    counting.open.set()
    answer = prober.ask(LIMIT_SECONDS)
    assert answer is not None
    assert (answer.ok, answer.pending) == (True, 1)


def test_an_engine_that_accepts_and_never_answers_is_silent(counting: Any) -> None:
    answer = ask_queue(counting.server_address[1], limit_seconds=0.2)
    assert answer.silent
    assert answer.problem == "no answer to GET /queue within 0.2 s"


def test_progress_is_processor_time_or_a_growing_log_and_wears_off() -> None:
    start = Progress(looked_at=0, cpu_seconds=5, log_bytes=10)
    assert not start.after(2, 5.0, 10).moving(2)
    assert start.after(2, 6.0, 10).moving(2)
    grown = start.after(2, 5.0, 11)
    assert grown.moving(2)
    assert grown.after(2 + STALL_SECONDS, 5.0, 11).moving(2 + STALL_SECONDS)
    assert not grown.after(3 + STALL_SECONDS, 5.0, 11).moving(3 + STALL_SECONDS)


def test_idle_threads_that_only_poll_are_no_progress() -> None:
    progress = Progress(looked_at=0, cpu_seconds=0, log_bytes=0)
    for second in range(2, 60, 2):
        progress = progress.after(second, second * 0.01, 0)
        assert not progress.moving(second)
