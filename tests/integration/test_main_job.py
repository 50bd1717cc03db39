"""The main job: real processes, a real git repository, a real uv and HTTP. Only the engine is a stand-in."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import threading
import zipfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import uv

from tests.running_platform import STANDIN, Platform, eventually, running
from workstation.bases import add_base
from workstation.home import open_home

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

PLUGIN = '''
"""Says which version of itself and of its requirement answered."""
from pathlib import Path
import stampling

HERE = Path(__file__).parent


class Stamp:
    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {"seed": ("INT", {"default": 0})}}

    RETURN_TYPES = ("STRING",)
    FUNCTION = "run"

    @classmethod
    def IS_CHANGED(cls, seed):
        return float("nan")

    def run(self, seed):
        (HERE / "visits.txt").open("a").write("x")
        words = (HERE / "words.txt").read_text().strip()
        return (f"{words} with stampling {stampling.VERSION}",)


NODE_CLASS_MAPPINGS = {"Stamp": Stamp}
'''
WORKFLOW = {
    "1": {"class_type": "Stamp", "inputs": {"seed": 1}},
    "2": {"class_type": "StandInSave", "inputs": {"text": ["1", 0], "filename_prefix": "stamp"}},
}


@dataclass
class Studio:
    """A running platform with one project, its plugin's repository and its wheels."""

    platform: Platform
    folder: Path
    project: str = "studio"

    @property
    def plugin(self) -> Path:
        return self.platform.home / "projects" / self.project / "workstation" / "custom_nodes" / "stamp"

    @property
    def smoke(self) -> str:
        return str(self.folder / "workflow.json")

    def wheel(self, version: str) -> Path:
        return make_wheel(self.folder / "wheels", version)

    def token(self) -> str:
        return str(self.platform.json("service", "token", "create", self.project, "tests")["token"])

    def call(self, token: str) -> str:
        """What the online service answers to the workflow."""
        url = self.endpoint()
        status, body = self.platform.ask("POST", f"{url}/prompt", {"prompt": WORKFLOW}, token)
        assert status == 200, body
        prompt_id = json.loads(body)["prompt_id"]
        return self.result(prompt_id, token)

    def result(self, prompt_id: str, token: str) -> str:
        url = self.endpoint()

        def finished() -> Any:
            status, body = self.platform.get(f"{url}/history/{prompt_id}", token)
            assert status == 200, body
            return json.loads(body).get(prompt_id)

        entry = eventually(finished, f"the result of {prompt_id}")
        assert entry["status"]["status_str"] == "success", entry
        file = entry["outputs"]["2"]["images"][0]
        query = f"filename={file['filename']}&subfolder={file['subfolder']}&type={file['type']}"
        status, body = self.platform.get(f"{url}/view?{query}", token)
        assert status == 200, body
        return body.decode()

    def endpoint(self) -> str:
        return f"{self.platform.record()['gateway_url']}/api/predict/{self.project}"

    def deploy(self, *options: str, code: int = 0) -> Any:
        return self.platform.json("deploy", self.project, "--smoke", self.smoke, *options, code=code)

    def live(self) -> list[dict[str, Any]]:
        found = self.platform.json("instance", "list", self.project)
        return [instance for instance in found if instance.get("stopped_at") is None]


def git(folder: Path, *arguments: str) -> None:
    identity = ["-c", "user.name=t", "-c", "user.email=t@example.org"]
    subprocess.run(["git", *identity, *arguments], cwd=folder, check=True, capture_output=True)


def make_wheel(folder: Path, version: str) -> Path:
    """A pure-Python wheel `stampling`, as small as a wheel can be."""
    folder.mkdir(exist_ok=True)
    path = folder / f"stampling-{version}-py3-none-any.whl"
    info = f"stampling-{version}.dist-info"
    with zipfile.ZipFile(path, "w") as wheel:
        wheel.writestr("stampling.py", f"VERSION = {version!r}\n")
        wheel.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: stampling\nVersion: {version}\n")
        wheel.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        wheel.writestr(
            f"{info}/RECORD", f"stampling.py,,\n{info}/METADATA,,\n{info}/WHEEL,,\n{info}/RECORD,,\n"
        )
    return path


def make_plugin_repository(folder: Path) -> Path:
    folder.mkdir()
    (folder / "__init__.py").write_text(PLUGIN)
    (folder / "words.txt").write_text("first words\n")
    (folder / "requirements.txt").write_text("stampling\n")
    git(folder, "init", "-q", "-b", "main")
    git(folder, "add", ".")
    git(folder, "commit", "-qm", "a plugin")
    return folder


@pytest.fixture
def studio(tmp_path: Path) -> Iterator[Studio]:
    """A platform that is up, with a project on the stand-in and a plugin from git; nothing deployed."""
    checkout = tmp_path / "engine"
    checkout.mkdir()
    (checkout / "main.py").write_bytes(STANDIN.read_bytes())
    small = tmp_path / "small-base"
    subprocess.run([uv.find_uv_bin(), "venv", "-q", str(small)], check=True)
    (tmp_path / "workflow.json").write_text(json.dumps(WORKFLOW))
    make_wheel(tmp_path / "wheels", "1.0")
    with running(tmp_path) as platform:
        platform.extra = {"UV_FIND_LINKS": str(tmp_path / "wheels"), "UV_NO_INDEX": "1"}
        add_base(open_home(platform.home), "small", small / "bin" / "python")
        here = Studio(platform, tmp_path)
        platform.cli("project", "create", here.project, "--engine", str(checkout), "--base", "small")
        source = make_plugin_repository(tmp_path / "stamp")
        platform.cli("plugin", "install", here.project, str(source))
        yield here


def test_what_the_workstation_does_after_a_deployment_never_reaches_the_online_service(
    studio: Studio,
) -> None:
    first = studio.deploy()
    assert first["deployment"]["state"] == "succeeded"
    token = studio.token()
    assert studio.call(token) == "first words with stampling 1.0"

    with (studio.plugin / "words.txt").open("r+") as words:  # in place: the inode stays
        words.write("other")
    (studio.plugin / "__init__.py").unlink()
    (studio.plugin.parent / "late.py").write_text("raise RuntimeError('never loaded online')\n")
    studio.wheel("2.0")
    studio.platform.cli("deps", "add", studio.project, "stampling==2.0")
    assert studio.call(token) == "first words with stampling 1.0"

    (instance,) = studio.live()
    restart_engine(studio, instance["id"])
    assert studio.call(token) == "first words with stampling 1.0"
    verified = studio.platform.json("snapshot", "verify", studio.project, "1")
    assert not verified[0]["damaged"] if isinstance(verified, list) else not verified["damaged"]

    (studio.plugin / "__init__.py").write_text(PLUGIN)
    (studio.plugin.parent / "late.py").unlink()
    studio.deploy("--note", "new words")
    assert studio.call(token) == "other words with stampling 2.0"

    studio.platform.cli("deployment", "rollback", studio.project, "--yes")
    assert studio.call(token) == "first words with stampling 1.0"


def restart_engine(studio: Studio, instance_id: str) -> None:
    """kill -9 of the engine, and wait until its agent has started it again from the same snapshot."""
    from publisher.drivers.process import ProcessDriver

    driver = ProcessDriver(studio.platform.home / "run" / "instances")
    report = driver.inspect(instance_id).report
    assert report is not None and report.engine_pid is not None
    old = report.engine_pid
    os.kill(old, signal.SIGKILL)

    def again() -> bool:
        now = driver.inspect(instance_id).report
        return now is not None and now.healthy and now.engine_pid not in (None, old)

    eventually(again, "the restarted engine")
    eventually(
        lambda: studio.platform.get(f"{studio.endpoint()}/queue", studio.token())[0] == 200, "its route"
    )


def test_results_stay_readable_after_the_instance_that_made_them_is_gone(studio: Studio) -> None:
    studio.deploy()
    token = studio.token()
    url = studio.endpoint()
    _, body = studio.platform.ask("POST", f"{url}/prompt", {"prompt": WORKFLOW}, token)
    prompt_id = json.loads(body)["prompt_id"]
    assert studio.result(prompt_id, token) == "first words with stampling 1.0"
    (old,) = studio.live()
    with (studio.plugin / "words.txt").open("w") as words:
        words.write("second words")
    studio.deploy()
    assert old["id"] not in [instance["id"] for instance in studio.live()]
    assert studio.result(prompt_id, token) == "first words with stampling 1.0"


def test_a_plugin_that_breaks_at_import_fails_the_deployment_while_the_old_snapshot_answers_under_load(
    studio: Studio,
) -> None:
    studio.deploy()
    token = studio.token()
    (studio.plugin / "__init__.py").write_text("import a_module_that_is_not_there\n")
    answers: list[str] = []
    stop = threading.Event()

    def load() -> None:
        while not stop.is_set():
            answers.append(studio.call(token))

    with ThreadPoolExecutor(4) as callers:
        running_calls = [callers.submit(load) for _ in range(4)]
        failed = studio.platform.cli("deploy", studio.project, "--json", code=None)
        stop.set()
        for call in running_calls:
            call.result()
    assert failed.code != 0
    assert len(answers) > 20
    assert set(answers) == {"first words with stampling 1.0"}
    record = studio.platform.cli("deployment", "show", studio.project, "2").out
    assert "failed" in record
    assert "stamp" in record
    assert "No module named 'a_module_that_is_not_there'" in record
    assert "Traceback" in record


def test_of_two_deploys_at_once_one_is_accepted_and_the_other_names_it(studio: Studio) -> None:
    key = studio.platform.json("service", "show", studio.project, code=None)
    assert key is not None
    with ThreadPoolExecutor(2) as clicks:
        answers = list(
            clicks.map(
                lambda n: studio.platform.cli(
                    "deploy", studio.project, "--no-wait", "--note", f"click {n}", "--json", code=None
                ),
                range(2),
            )
        )
    codes = sorted(answer.code for answer in answers)
    assert codes[0] == 0
    assert codes[1] != 0
    refused = next(answer for answer in answers if answer.code)
    assert "deployment 1" in (refused.out + refused.err).lower()


@pytest.mark.parametrize("state", ["preflight", "freezing", "proving", "rotating", "baking"])
def test_a_control_plane_killed_in_any_state_resumes_and_serves_throughout(
    studio: Studio, state: str
) -> None:
    studio.deploy()
    token = studio.token()
    with (studio.plugin / "words.txt").open("w") as words:
        words.write("second words")
    studio.platform.cli("deploy", studio.project, "--no-wait")

    def arrived() -> bool:
        now = studio.platform.json("deployment", "show", studio.project, "2")["deployment"]["state"]
        return now == state or now == "succeeded"

    eventually(arrived, f"the state {state}")
    studio.platform.kill()
    studio.platform.up()

    def ended() -> Any:
        now = studio.platform.json("deployment", "show", studio.project, "2")["deployment"]
        return now if now["ended_at"] else None

    assert eventually(ended, "the end of deployment 2", 90.0)["state"] == "succeeded"
    assert studio.call(token) == "second words with stampling 1.0"
    eventually(lambda: len(studio.live()) == 1, "exactly one live instance")
