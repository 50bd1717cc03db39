"""Fault 34: the broker or the worker dies, and no deployment is lost."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import time
from pathlib import Path

import pytest

from publisher.settings import Settings
from publisher.tasks import waker
from tests.running_platform import QUICK, eventually
from tests.running_studio import running_studio
from tests.servers import rabbitmq_server, redis_server
from workstation.home import open_home

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

ROOT = Path(__file__).parents[2]
# The worker's own way of taking messages; what it does with one is the test's.
WORKER = """
import os, pathlib, signal, sys
from publisher.broker import give_back_taken
from publisher.settings import Settings
from publisher.tasks import make_app, register
from publisher.worker import take_messages
from workstation.layout import Home

home, end, url = Home(pathlib.Path(sys.argv[1])), sys.argv[2], sys.argv[3] or None

def tick(deployment_id):
    if end == "SIGKILL":
        os.kill(os.getpid(), signal.SIGKILL)
    os.write(1, f"looked at {deployment_id}".encode())  # Celery takes print for a log line
    os.kill(os.getpid(), signal.SIGTERM)

app = make_app(home, Settings(broker_url=url))
if url is None:
    give_back_taken(home)
register(app, tick)
take_messages(app)
"""


def work(home: Path, end: str, url: str | None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", WORKER, str(home), end, url or ""],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )


@pytest.mark.parametrize("broker", ["files", "rabbitmq"])
def test_the_message_of_a_killed_worker_returns_to_the_next_one(tmp_path: Path, broker: str) -> None:
    home = open_home(tmp_path / "home")
    with contextlib.ExitStack() as stack:
        url = None if broker == "files" else stack.enter_context(rabbitmq_server()).url
        waker(home, Settings(broker_url=url))(41)
        assert work(home.root, "SIGKILL", url).returncode == -9
        again = work(home.root, "SIGTERM", url)
        assert "looked at 41" in again.stdout, again.stderr
    if broker == "files":
        assert not list((home.run / "broker").glob("*/*.msg")), "an acknowledged message is gone"


@pytest.mark.parametrize("trouble", ["gone", "silent"])
def test_without_its_broker_the_platform_deploys_by_the_sweep_and_ends_when_told(
    tmp_path: Path, trouble: str
) -> None:
    with (
        redis_server() as broker,
        running_studio(tmp_path, {**QUICK, "broker_url": broker.url}) as studio,
    ):
        broker.crash() if trouble == "gone" else broker.freeze()
        began = time.monotonic()
        studio.platform.cli("deploy", studio.project, "--smoke", studio.smoke, "--no-wait")
        assert time.monotonic() - began < 30, "a broker holds up nobody for long"
        eventually(lambda: studio.state(1) == "succeeded", "the end of the deployment", 90.0)
        assert studio.call(studio.token()) == "first words with stampling 1.0"
        studio.platform.down()
