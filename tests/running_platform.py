"""A whole platform on a home of its own: `stillframe up` and the CLI as a user runs them, real processes."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import tomli_w

from workstation.home import open_home

STANDIN = Path(__file__).parent / "fakes" / "standin_comfyui.py"
CLI = (sys.executable, "-m", "web.cli.main")
# The platform's own numbers are for engines that take minutes; a stand-in starts in a tenth of a second.
QUICK = {
    "health_interval_seconds": 0.2,
    "minimum_healthy_seconds": 0.5,
    "bake_seconds": 0.5,
    "tick_seconds": 0.2,
    "orphan_interval_seconds": 1.0,
    "stop_grace_seconds": 5.0,
    "disk_room_bytes": 1,
}
UP_LIMIT_SECONDS = 30.0

T = TypeVar("T")


def eventually(look: Callable[[], T | None], what: str, limit_seconds: float = 30.0) -> T:
    """The first truthy answer of `look`, asked every 20 ms; AssertionError naming `what` after the limit."""
    deadline = time.monotonic() + limit_seconds
    while time.monotonic() < deadline:
        if found := look():
            return found
        time.sleep(0.02)
    raise AssertionError(f"{what} did not come within {limit_seconds:g} s")


@dataclass
class Answer:
    """What one CLI command said."""

    code: int
    out: str
    err: str

    @property
    def value(self) -> Any:
        return json.loads(self.out)


@dataclass
class Platform:
    """One home and the `up` that serves it, when it does."""

    home: Path
    process: subprocess.Popen[bytes] | None = None
    extra: Mapping[str, str] = field(default_factory=dict)

    def cli(self, *arguments: str, code: int | None = 0, limit_seconds: float = 120.0) -> Answer:
        """Run one command to its end; asserts its exit code unless `code` is None."""
        done = subprocess.run(
            [*CLI, *arguments, "--home", str(self.home)],
            capture_output=True,
            text=True,
            timeout=limit_seconds,
            env=self._environment(),
            check=False,
        )
        answer = Answer(done.returncode, done.stdout, done.stderr)
        assert code is None or answer.code == code, (
            f"{arguments} ended with {answer.code}\n{answer.out}\n{answer.err}"
        )
        return answer

    def json(self, *arguments: str, **options: Any) -> Any:
        return self.cli(*arguments, "--json", **options).value

    def up(self) -> None:
        """Start `stillframe up` on free ports and wait until it serves."""
        log = (self.home.parent / "up.log").open("ab")
        self.process = subprocess.Popen(
            [*CLI, "up", "--port", "0", "--gateway-port", "0", "--home", str(self.home)],
            stdout=log,
            stderr=subprocess.STDOUT,
            env=self._environment(),
            start_new_session=True,
        )
        eventually(self._serves, "stillframe up", UP_LIMIT_SECONDS)

    def record(self) -> dict[str, Any]:
        """What `up` wrote of itself."""
        return dict(json.loads((self.home / "run" / "up.json").read_text()))

    def down(self) -> None:
        """End `up` politely; instances go on."""
        if self.process is not None:
            self.process.terminate()
            self.process.wait(60)
            self.process = None

    def kill(self) -> None:
        """kill -9 of every process of the control plane and of the gateway; instances go on."""
        assert self.process is not None
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(10)
        self.process = None

    def get(self, url: str, token: str | None = None) -> tuple[int, bytes]:
        return self.ask("GET", url, None, token)

    def ask(self, method: str, url: str, body: object, token: str | None) -> tuple[int, bytes]:
        headers = {"Authorization": token} if token else {}
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(url, data=data, headers=headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return int(answer.status), answer.read()
        except urllib.error.HTTPError as problem:
            return problem.code, problem.read()

    def _serves(self) -> bool:
        assert self.process is not None and self.process.poll() is None, (
            self.home.parent / "up.log"
        ).read_text()
        try:
            record = self.record()
            return all(self.get(f"{record[door]}/healthz")[0] == 200 for door in ("url", "gateway_url"))
        except (OSError, KeyError, ValueError, urllib.error.URLError):
            return False

    def _environment(self) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith("STILLFRAME_")}
        return {**kept, **self.extra, "NO_COLOR": "1"}


@contextlib.contextmanager
def running(folder: Path, settings: Mapping[str, object] = QUICK) -> Iterator[Platform]:
    """A platform on `folder`/home that is up, and down again with all its instances at the end."""
    home = folder / "home"
    open_home(home)
    (home / "settings.toml").write_text(tomli_w.dumps(settings))
    platform = Platform(home)
    try:
        platform.up()
        yield platform
    finally:
        if platform.process is not None and platform.process.poll() is None:
            platform.down()
        stop_instances(home)


def stop_instances(home: Path) -> None:
    """End whatever instances and workstation engines of this home still run."""
    from publisher.drivers.process import ProcessDriver
    from workstation.process import stop_workstation, workstation_state
    from workstation.project import list_projects

    driver = ProcessDriver(home / "run" / "instances")
    for instance in driver.list():
        driver.stop(instance, grace_seconds=2.0)
    opened = open_home(home)
    for name in list_projects(opened):
        if workstation_state(opened.project(name)).alive:
            stop_workstation(opened.project(name))
