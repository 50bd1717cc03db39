"""A running platform with one project on the stand-in engine and a plugin from git: a studio."""

from __future__ import annotations

import contextlib
import json
import subprocess
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import uv

from tests.running_platform import QUICK, STANDIN, Platform, eventually, running
from workstation.bases import add_base
from workstation.home import open_home

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

    def state(self, number: int) -> str:
        shown = self.platform.json("deployment", "show", self.project, str(number))
        return str(shown["deployment"]["state"])

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


@contextlib.contextmanager
def running_studio(folder: Path, settings: Mapping[str, object] = QUICK) -> Iterator[Studio]:
    """A studio in `folder`; nothing is deployed."""
    checkout = folder / "engine"
    checkout.mkdir()
    (checkout / "main.py").write_bytes(STANDIN.read_bytes())
    small = folder / "small-base"
    subprocess.run([uv.find_uv_bin(), "venv", "-q", str(small)], check=True)
    (folder / "workflow.json").write_text(json.dumps(WORKFLOW))
    make_wheel(folder / "wheels", "1.0")
    with running(folder, settings) as platform:
        platform.extra = {"UV_FIND_LINKS": str(folder / "wheels"), "UV_NO_INDEX": "1"}
        add_base(open_home(platform.home), "small", small / "bin" / "python")
        here = Studio(platform, folder)
        platform.cli("project", "create", here.project, "--engine", str(checkout), "--base", "small")
        source = make_plugin_repository(folder / "stamp")
        platform.cli("plugin", "install", here.project, str(source))
        yield here
