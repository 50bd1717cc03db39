"""The whole publisher with real processes: uv, a frozen workstation, the worker, a stand-in engine."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from uv import find_uv_bin

from publisher.db.control import open_control
from publisher.drivers.process import ProcessDriver
from publisher.history import DeploymentRecord
from publisher.service import Publisher
from publisher.settings import Settings
from publisher.states import FINAL
from publisher.states import DeploymentState as S
from publisher.tasks import waker
from workstation.bases import add_base
from workstation.engines import EngineChoice
from workstation.home import open_home
from workstation.layout import Home
from workstation.project import create_project

ROOT = Path(__file__).parents[2]
STANDIN = ROOT / "tests" / "fakes" / "standin_comfyui.py"
SMOKE = {
    "1": {"class_type": "Stamp", "inputs": {}},
    "2": {"class_type": "StandInSave", "inputs": {"text": ["1", 0], "filename_prefix": "smoke"}},
}
PLUGIN = """
class Stamp:
    RETURN_TYPES = ("STRING",)
    FUNCTION = "stamp"
    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {}}
    def stamp(self):
        return ("VERSION",)
NODE_CLASS_MAPPINGS = {"Stamp": Stamp}
"""
QUICK = {
    "health_interval_seconds": 0.3,
    "minimum_healthy_seconds": 0.5,
    "bake_seconds": 1.0,
    "start_deadline_seconds": 60.0,
    "stop_grace_seconds": 3.0,
    "disk_room_bytes": 0,
    "slots": 3,
    "tick_seconds": 0.2,
}

pytestmark = pytest.mark.slow


class Plant:
    """A home with one project, and a worker that can be killed and started again."""

    def __init__(self, root: Path) -> None:
        self.home: Home = open_home(root / "home")
        self.worker: subprocess.Popen[bytes] | None = None
        self.settings = Settings(**QUICK)  # type: ignore[arg-type]  # fields by name
        (root / "settings.json").write_text(json.dumps(QUICK))
        self._settings_file, self._log = root / "settings.json", (root / "worker.log").open("ab")
        self._make_project(root)
        control = open_control(self.settings.control_database(self.home))
        self.publisher = Publisher(self.home, control, self.settings, waker(self.home, self.settings))

    def _make_project(self, root: Path) -> None:
        engine = root / "engine"
        engine.mkdir()
        shutil.copy(STANDIN, engine / "main.py")
        subprocess.run([find_uv_bin(), "venv", "-q", "--python", sys.executable, root / "base"], check=True)
        add_base(self.home, "small", root / "base" / "bin" / "python")
        create_project(self.home, "demo", EngineChoice("comfyui", str(engine)), base="small")
        self.plugin("VERSION-1")

    def plugin(self, text: str, broken: bool = False) -> None:
        folder = self.home.project("demo").workstation.custom_nodes / "stamp"
        folder.mkdir(exist_ok=True)
        (folder / "__init__.py").write_text(
            "import no_such_module\n" if broken else PLUGIN.replace("VERSION", text)
        )

    def start_worker(self) -> None:
        command = [sys.executable, "-m", "publisher.worker", "--home", str(self.home.root)]
        self.worker = subprocess.Popen(
            [*command, "--settings", str(self._settings_file)], cwd=ROOT, stderr=self._log, stdout=self._log
        )

    def kill_worker(self) -> None:
        assert self.worker is not None
        self.worker.kill()
        self.worker.wait(20)

    def stop(self) -> None:
        if self.worker is not None and self.worker.poll() is None:
            self.worker.send_signal(signal.SIGTERM)
            try:
                self.worker.wait(30)
            except subprocess.TimeoutExpired:
                self.kill_worker()
        driver = ProcessDriver(self.home.instances)
        for instance_id in driver.list():
            driver.stop(instance_id, grace_seconds=1.0)
        self._log.close()

    def deploy(self, **asked: Any) -> int:
        return self.publisher.request_deployment("demo", by="ana", source="test", **asked).number

    def ended(self, number: int, limit_seconds: float = 120.0) -> DeploymentRecord:
        wait_until(lambda: self._state(number) in FINAL, limit_seconds, f"deployment {number} to end")
        return self.publisher.deployment("demo", number)

    def succeeded(self) -> None:
        """One deployment, brought to its good end."""
        record = self.ended(self.deploy())
        assert record.deployment.state is S.SUCCEEDED, record.error

    def _state(self, number: int) -> S:
        return self.publisher.deployment("demo", number).deployment.state

    def accepting(self) -> list[dict[str, Any]]:
        table = json.loads((self.home.run / "routing.json").read_text())
        return [i for i in table["services"]["demo"]["instances"] if i["accepts"]]

    def answer(self) -> str:
        """Run the workflow on the instance that takes the traffic, and return the text it saved."""
        url = self.accepting()[0]["url"]
        body = json.dumps({"prompt": SMOKE}).encode()
        request = urllib.request.Request(f"{url}/prompt", body, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=10) as answer:
            prompt_id = json.load(answer)["prompt_id"]
        found: dict[str, Any] = {}

        def done() -> bool:
            with urllib.request.urlopen(f"{url}/history/{prompt_id}", timeout=10) as history:
                found.update(json.load(history))
            return prompt_id in found

        wait_until(done, 20, "the workflow")
        image = found[prompt_id]["outputs"]["2"]["images"][0]
        query = f"filename={image['filename']}&subfolder={image['subfolder']}&type={image['type']}"
        with urllib.request.urlopen(f"{url}/view?{query}", timeout=10) as view:
            return str(view.read().decode())


def wait_until(true: Callable[[], bool], limit_seconds: float, what: str) -> None:
    deadline = time.monotonic() + limit_seconds
    while not true():
        assert time.monotonic() < deadline, f"{what} took longer than {limit_seconds} s"
        time.sleep(0.05)


@pytest.fixture
def plant(tmp_path: Path) -> Iterator[Plant]:
    made = Plant(tmp_path)
    yield made
    made.stop()


def test_a_workstation_is_frozen_proven_rotated_and_what_it_does_later_reaches_nobody(plant: Plant) -> None:
    plant.start_worker()
    first = plant.ended(plant.deploy(smoke_workflow=SMOKE))
    assert first.deployment.state is S.SUCCEEDED, first.error
    assert any(event.kind == "RunSmoke" and event.result == "ok" for event in first.events)
    assert plant.answer() == "VERSION-1"

    plant.plugin("VERSION-2")
    assert plant.answer() == "VERSION-1"
    second = plant.ended(plant.deploy())
    assert second.deployment.state is S.SUCCEEDED, second.error
    assert any("stamp" in line for line in second.diff_lines)
    assert plant.answer() == "VERSION-2"

    plant.plugin("", broken=True)
    third = plant.ended(plant.deploy())
    assert third.deployment.state is S.FAILED
    assert "no_such_module" in (third.error or "")
    failed = next(event for event in third.events if event.kind == "Fail")
    assert "Traceback" in failed.data["failing_plugins"][0]["traceback"]
    assert plant.answer() == "VERSION-2"

    back = plant.publisher.roll_back("demo", by="ana", source="test")
    assert plant.ended(back.number).deployment.state is S.SUCCEEDED
    assert plant.answer() == "VERSION-1"
    assert len(ProcessDriver(plant.home.instances).list()) == 1


def test_an_unchanged_deployment_says_so_within_seconds(plant: Plant) -> None:
    plant.start_worker()
    plant.succeeded()
    began = time.monotonic()
    record = plant.ended(plant.deploy())
    assert record.deployment.outcome == "unchanged"
    assert time.monotonic() - began < 10


@pytest.mark.parametrize("state", [S.FREEZING, S.PROVING, S.ROTATING, S.BAKING])
def test_the_worker_killed_in_a_state_is_followed_by_one_that_brings_it_to_its_end(
    plant: Plant, state: S
) -> None:
    plant.start_worker()
    plant.succeeded()
    plant.plugin("VERSION-2")
    number = plant.deploy()
    order = list(S)
    wait_until(lambda: order.index(plant._state(number)) >= order.index(state), 60, str(state))
    plant.kill_worker()
    assert plant.answer() in ("VERSION-1", "VERSION-2"), "instances need no control plane"
    plant.start_worker()
    record = plant.ended(number)
    assert record.deployment.state is S.SUCCEEDED, record.error
    assert plant.answer() == "VERSION-2"
    wait_until(lambda: len(ProcessDriver(plant.home.instances).list()) == 1, 30, "one instance")


def test_an_instance_that_is_killed_is_replaced(plant: Plant) -> None:
    plant.start_worker()
    plant.succeeded()
    driver = ProcessDriver(plant.home.instances)
    (old,) = driver.list()
    driver.stop(old, grace_seconds=1.0)
    wait_until(
        lambda: [i["id"] for i in plant.accepting() if i["id"] != old] != [], 60, "a replacement in traffic"
    )
    assert plant.answer() == "VERSION-1"
