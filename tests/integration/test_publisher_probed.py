"""Rotations of a whole platform under callers that never stop: nothing is lost and no call fails."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import uv

from tests.prober import Prober
from tests.running_platform import QUICK, STANDIN, Platform, running
from workstation.bases import add_base
from workstation.home import open_home

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

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
WORKFLOW = {
    "1": {"class_type": "Stamp", "inputs": {}},
    "2": {"class_type": "StandInSave", "inputs": {"text": ["1", 0], "filename_prefix": "stamp"}},
}


@contextmanager
def shop(folder: Path, slots: int) -> Iterator[Platform]:
    """A platform with so many slots and the project `shop` on the stand-in engine."""
    checkout = folder / "engine"
    checkout.mkdir()
    (checkout / "main.py").write_bytes(STANDIN.read_bytes())
    subprocess.run([uv.find_uv_bin(), "venv", "-q", str(folder / "small")], check=True)
    (folder / "workflow.json").write_text(json.dumps(WORKFLOW))
    with running(folder, {**QUICK, "slots": slots}) as platform:
        add_base(open_home(platform.home), "small", folder / "small" / "bin" / "python")
        platform.cli("project", "create", "shop", "--engine", str(checkout), "--base", "small")
        yield platform


def say(platform: Platform, text: str) -> None:
    folder = platform.home / "projects" / "shop" / "workstation" / "custom_nodes" / "stamp"
    folder.mkdir(exist_ok=True)
    (folder / "__init__.py").write_text(PLUGIN.replace("VERSION", text))


def deploy(platform: Platform, **options: Any) -> Any:
    return platform.json("deploy", "shop", "--smoke", str(platform.home.parent / "workflow.json"), **options)


@pytest.mark.parametrize(("rotation", "slots"), [("surge", 2), ("in-place", 1)])
def test_a_rotation_and_a_failed_one_lose_nothing_and_fail_no_call(
    tmp_path: Path, rotation: str, slots: int
) -> None:
    with shop(tmp_path, slots) as platform:
        say(platform, "one")
        deploy(platform)
        token = str(platform.json("service", "token", "create", "shop", "tests")["token"])
        url = f"{platform.record()['gateway_url']}/api/predict/shop"
        with Prober(url, token.removeprefix("Bearer "), WORKFLOW) as prober:
            say(platform, "two")
            second = deploy(platform)
            assert second["deployment"]["state"] == "succeeded"
            assert second["deployment"]["rotation"] == rotation
            prober.wait_for_results(5)
            say(platform, 'three"+')
            deploy(platform, code=None)
            prober.wait_for_results(5)
            third = platform.json("deployment", "show", "shop", "3")["deployment"]
            assert third["state"] == "failed"
            assert "stamp" in third["failure"]
        prober.assert_nothing_was_lost({"one", "two"})
        assert {"one", "two"} == set(prober.toll.results.values())
        print(rotation, len(prober.toll.posted), "prompts, slowest", round(prober.toll.slowest_seconds, 2))
