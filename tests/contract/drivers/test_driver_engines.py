"""What drivers of real engines promise beside the contract, on real processes with a stand-in engine."""

from __future__ import annotations

import concurrent.futures
import http.client
import json
import shutil
import time
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from online_runtime.instance.spec import InstanceState
from tests.contract.drivers.conftest import Machine

pytestmark = pytest.mark.slow


def call(url: str, path: str) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", urlsplit(url).port, timeout=5)
    try:
        connection.request("GET", path)
        return connection.getresponse().status
    finally:
        connection.close()


def test_a_healthy_engine_answers_and_names_its_plugins(engines: Machine) -> None:
    _, report = engines.start_healthy()
    assert {plugin.name: plugin.ok for plugin in report.plugins} == {"alpha": True, "single": True}
    assert report.engine_url is not None
    assert call(report.engine_url, "/system_stats") == 200


def test_a_stopped_engine_answers_no_more_and_its_log_is_there(engines: Machine) -> None:
    spec, report = engines.start_healthy()
    engines.driver.stop(spec.instance_id)
    assert report.engine_url is not None
    with pytest.raises(ConnectionRefusedError):
        call(report.engine_url, "/queue")
    assert any("alpha says one" in line for line in engines.driver.logs(spec.instance_id))


def test_an_engine_that_exits_at_once_is_given_up_in_seconds_with_its_last_words(engines: Machine) -> None:
    (engines.home.workstation.engine / "main.py").write_text(
        "import sys; print('no such device'); sys.exit(3)"
    )
    began = time.monotonic()
    report = engines.wait_for(engines.start(), InstanceState.FAILED)
    assert time.monotonic() - began < 15
    assert report.last_exit is not None
    assert report.last_exit["code"] == 3
    assert "no such device" in report.last_exit["log_tail"]
    assert report.problem == "The engine ended with code 3."


def test_a_view_that_is_not_there_fails_at_once_and_is_named(engines: Machine) -> None:
    spec = engines.home.spec()
    shutil.rmtree(next(m.source for m in spec.mounts if m.component == "custom_nodes/alpha"))
    engines.driver.create(spec)
    report = engines.wait_for(spec, InstanceState.FAILED)
    assert report.restarts == 0
    assert report.last_exit is not None
    assert any("custom_nodes/alpha should be at" in line for line in report.last_exit["log_tail"])


def test_a_plugin_that_does_not_import_is_named_with_its_traceback(engines: Machine) -> None:
    engines.home.write_plugin("broken", "import package_that_is_not_there")
    _, report = engines.start_healthy()
    broken = next(plugin for plugin in report.plugins if plugin.name == "broken")
    assert not broken.ok
    assert "package_that_is_not_there" in broken.error
    assert "Traceback" in broken.traceback


def test_an_engine_that_ignores_sigterm_is_killed_after_the_grace(engines: Machine) -> None:
    engines.home.write_plugin(
        "deaf", "import signal; signal.signal(15, signal.SIG_IGN); NODE_CLASS_MAPPINGS = {}"
    )
    spec, report = engines.start_healthy()
    began = time.monotonic()
    engines.driver.stop(spec.instance_id, grace_seconds=1)
    assert 0.9 < time.monotonic() - began < 10
    assert not Path(f"/proc/{report.engine_pid}").exists()


def test_an_engine_that_hangs_turns_unhealthy_and_health_calls_do_not_pile_up(engines: Machine) -> None:
    engines.home.write_plugin(
        "hanging",
        """
import __main__, threading, time
from pathlib import Path
NODE_CLASS_MAPPINGS = {}
def watch():
    while not (Path(__file__).parents[2] / "input" / "hang").exists():
        time.sleep(0.05)
    __main__.BEHAVIOUR.hang.add("/queue")
threading.Thread(target=watch, daemon=True).start()
""",
    )
    spec, report = engines.start_healthy()
    Path(spec.input, "hang").touch()
    with concurrent.futures.ThreadPoolExecutor(10) as pool:
        seen = list(pool.map(lambda _: engines.driver.inspect(spec.instance_id), range(10)))
    assert all(
        each.report is not None for each in seen
    )  # the door answers in time although the engine does not
    unhealthy = engines.wait_for(spec, InstanceState.UNHEALTHY)
    assert unhealthy.problem == "no answer to GET /queue within 5 s"
    assert unhealthy.engine_pid == report.engine_pid


def test_what_the_workstation_does_afterwards_is_not_seen_by_a_running_instance(engines: Machine) -> None:
    reader = """
import json
from pathlib import Path
import __main__
class Read(__main__.StandInText):
    def run(self, text):
        files = Path(__file__).parents[1].rglob("*.txt")
        return (json.dumps(sorted((str(file), file.read_text()) for file in files)),)
NODE_CLASS_MAPPINGS = {"Read": Read}
"""
    engines.home.write_plugin("reader", reader)
    _, report = engines.start_healthy()
    assert report.engine_url is not None
    before = ask(report.engine_url)
    plugin = engines.home.plugin
    with (plugin / "version.txt").open("r+") as file:
        file.write("changed in place")
    (plugin / "notes" / "old.txt").unlink()
    (plugin / "new.txt").write_text("new")
    engines.home.write_plugin("late", "")
    (engines.home.workstation.custom_nodes / "late" / "late.txt").write_text("late")
    plugin.rename(plugin.with_name("renamed"))
    assert ask(report.engine_url) == before
    assert "old.txt" in before
    assert "changed in place" not in before


def ask(url: str) -> str:
    """Run the plugin's node and return the text that it saved."""
    prompt = {
        "1": {"class_type": "Read", "inputs": {"text": ""}},
        "2": {"class_type": "StandInSave", "inputs": {"text": ["1", 0], "filename_prefix": "seen"}},
    }
    connection = http.client.HTTPConnection("127.0.0.1", urlsplit(url).port, timeout=10)
    connection.request(
        "POST", "/prompt", json.dumps({"prompt": prompt}), {"Content-Type": "application/json"}
    )
    prompt_id = json.loads(connection.getresponse().read())["prompt_id"]
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        connection.request("GET", f"/history/{prompt_id}")
        history = json.loads(connection.getresponse().read())
        if prompt_id in history:
            image = history[prompt_id]["outputs"]["2"]["images"][0]
            connection.request("GET", f"/view?filename={image['filename']}&type=output&subfolder=")
            return connection.getresponse().read().decode()
        time.sleep(0.05)
    raise AssertionError("the prompt did not end")
