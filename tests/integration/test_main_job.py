"""The main job: real processes, a real git repository, a real uv and HTTP. Only the engine is a stand-in."""

from __future__ import annotations

import json
import os
import signal
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.running_platform import eventually
from tests.running_studio import PLUGIN, WORKFLOW, Studio, running_studio

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


@pytest.fixture
def studio(tmp_path: Path) -> Iterator[Studio]:
    with running_studio(tmp_path) as here:
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
