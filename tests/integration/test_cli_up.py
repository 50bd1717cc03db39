"""`stillframe up` as a process: one command, one at a time, what dies comes back, what ends ends in order."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from web.supervisor.identity import Identity, identity_of
from web.supervisor.record import UpRecord, last_record, running

pytestmark = pytest.mark.slow

LIMIT_SECONDS = 60.0
direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def up(home: Path, *options: str, ports: tuple[int, int] = (0, 0)) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "web.cli.main", "up", "--home", str(home), "--json", *options]
    command += ["--port", str(ports[0]), "--gateway-port", str(ports[1])]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def first_line(process: subprocess.Popen[str]) -> dict[str, Any]:
    assert process.stdout is not None
    ready, _, _ = select.select([process.stdout], [], [], LIMIT_SECONDS)
    assert ready, "stillframe up said nothing"
    return dict(json.loads(process.stdout.readline()))


def eventually(look: Callable[[], Any], what: str) -> Any:
    deadline = time.monotonic() + LIMIT_SECONDS
    while time.monotonic() < deadline:
        if found := look():
            return found
        time.sleep(0.02)
    raise AssertionError(f"{what} did not come within {LIMIT_SECONDS:g} s")


def ended(process: subprocess.Popen[str]) -> int:
    process.terminate()
    code = process.wait(LIMIT_SECONDS)
    for pipe in (process.stdout, process.stderr):
        assert pipe is not None
        pipe.close()
    return code


def record_of(home: Path) -> UpRecord:
    record = running(home / "run")
    assert record is not None
    return record


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    """A home folder; whatever this test leaves running on it is killed, by identity."""
    home = tmp_path / "home"
    yield home
    left = last_record(home / "run")
    for identity in [left.supervisor, *left.children.values()] if left else []:
        identity.signal(signal.SIGKILL)


def test_up_serves_tells_its_password_once_and_ends_with_everything_it_started(home: Path) -> None:
    process = up(home)
    said = first_line(process)
    assert direct.open(f"{said['url']}/healthz", timeout=10).status == 200
    assert direct.open(f"{said['gateway_url']}/healthz", timeout=10).status == 200
    assert len(said["admin_password"]) >= 20
    children = list(record_of(home).children.values())
    assert len(children) == 3
    assert said["admin_password"] not in "".join(log.read_text() for log in (home / "run" / "logs").iterdir())
    assert ended(process) == 0
    assert not any(child.alive for child in children)
    assert running(home / "run") is None

    process = up(home)
    assert first_line(process)["admin_password"] is None
    assert ended(process) == 0


def test_a_second_up_on_the_same_home_is_refused_and_names_the_process(home: Path) -> None:
    process = up(home)
    said = first_line(process)
    second = up(home)
    problem = first_line(second)
    assert second.wait(LIMIT_SECONDS) == 5
    ended(second)
    assert problem["pid"] == process.pid and problem["url"] == said["url"]
    assert str(process.pid) in problem["detail"]
    assert direct.open(f"{said['url']}/healthz", timeout=10).status == 200
    assert ended(process) == 0


def test_a_killed_supervisor_leaves_the_gateway_answering_and_the_next_up_takes_it_over(home: Path) -> None:
    process = up(home)
    said = first_line(process)
    before = record_of(home)
    process.kill()
    process.wait(LIMIT_SECONDS)
    eventually(lambda: not before.children["web"].alive, "the end of the orphaned web door")
    assert direct.open(f"{said['gateway_url']}/healthz", timeout=10).status == 200

    ports = tuple(int(said[name].rpartition(":")[2]) for name in ("url", "gateway_url"))
    again = up(home, ports=(ports[0], ports[1]))
    assert first_line(again)["gateway_url"] == said["gateway_url"]
    assert record_of(home).children["gateway"] == before.children["gateway"]
    assert ended(again) == 0
    assert not before.children["gateway"].alive
    ended(process)


def test_a_part_that_dies_is_started_again(home: Path) -> None:
    process = up(home)
    said = first_line(process)
    old = record_of(home).children["web"]
    os.kill(old.pid, signal.SIGKILL)
    new = eventually(lambda: another(home, old), "another web door")
    assert identity_of(new.pid) == new
    eventually(lambda: answers(f"{said['url']}/healthz"), "the web door's answer")
    assert ended(process) == 0


def test_a_taken_port_is_named_with_the_option_that_changes_it(home: Path, tmp_path: Path) -> None:
    first = up(home)
    taken = int(first_line(first)["url"].rpartition(":")[2])
    other = up(tmp_path / "other", ports=(taken, 0))
    problem = first_line(other)
    assert other.wait(LIMIT_SECONDS) == 5
    ended(other)
    assert str(taken) in problem["detail"] and "--port" in problem["detail"]
    assert ended(first) == 0


def another(home: Path, old: Identity) -> Identity | None:
    record = running(home / "run")
    now = record.children["web"] if record else None
    return now if now is not None and now != old else None


def answers(url: str) -> bool:
    try:
        return int(direct.open(url, timeout=5).status) == 200
    except OSError:
        return False
