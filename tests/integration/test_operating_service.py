"""Operating a service as a person does: secrets and versions of its configuration at the command line."""

from __future__ import annotations

import json
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.integration.test_publisher_probed import deploy, say, shop
from tests.running_platform import CLI, Platform
from web.local_key import authorization

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

VALUE = "hf_verysecretvalue"
PRINTER = "import os\nprint('token', os.environ.get('HF_TOKEN'), flush=True)\nNODE_CLASS_MAPPINGS = {}\n"


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    """A service that serves, with a plugin that prints what it should not."""
    with shop(tmp_path_factory.mktemp("operating"), slots=2) as platform:
        say(platform, "one")
        folder = platform.home / "projects" / "shop" / "workstation" / "custom_nodes"
        (folder / "printer.py").write_text(PRINTER)
        assert deploy(platform)["deployment"]["state"] == "succeeded"
        yield platform


def set_secret(platform: Platform, name: str, value: str, *options: str) -> subprocess.CompletedProcess[str]:
    """As `printf VALUE | stillframe service secret set`."""
    command = [
        *CLI,
        "service",
        "secret",
        "set",
        "shop",
        name,
        *options,
        "--home",
        str(platform.home),
        "--json",
    ]
    return subprocess.run(
        command,
        input=value,
        capture_output=True,
        text=True,
        timeout=120,
        env=platform._environment(),
        check=False,
    )


def instance_log(platform: Platform) -> str:
    (live,) = [i for i in platform.json("instance", "list", "shop") if i["stopped_at"] is None]
    return platform.cli("instance", "log", "shop", live["id"]).out


def test_a_secret_comes_from_a_pipe_is_deployed_and_shows_nowhere(platform: Platform) -> None:
    done = set_secret(platform, "HF_TOKEN", VALUE + "\n")
    assert done.returncode == 0, done.stderr
    record = json.loads(done.stdout)
    assert record["deployment"]["state"] == "succeeded"
    assert record["configuration"]["secrets"] == {"HF_TOKEN": 1}
    assert "token [secret HF_TOKEN]" in instance_log(platform)
    told = platform.json("service", "secret", "list", "shop")
    assert [(one["name"], one["version"], one["problem"]) for one in told] == [("HF_TOKEN", 1, None)]
    shown = [
        platform.cli("service", "show", "shop", "--json").out,
        platform.cli("deployment", "show", "shop", str(record["deployment"]["number"]), "--json").out,
        platform.cli("service", "configuration", "diff", "shop", "1", "2", "--json").out,
        done.stdout + done.stderr,
    ]
    kept = [file for file in platform.home.rglob("*") if file.is_file() and not file.is_symlink()]
    assert not any(VALUE in text for text in shown)
    assert not [str(file) for file in kept if VALUE.encode() in file.read_bytes()]
    assert (platform.home / "secret.key").stat().st_mode & 0o777 == 0o600


def test_a_bad_name_is_refused_with_its_field_and_without_the_value(platform: Platform) -> None:
    done = set_secret(platform, "PYTHONPATH", VALUE)
    assert done.returncode == 3
    assert "secrets" in done.stdout + done.stderr
    assert VALUE not in done.stdout + done.stderr


def test_versions_are_listed_compared_and_gone_back_to(platform: Platform) -> None:
    platform.cli("service", "configure", "shop", "hold_calls=7", "bake_seconds=0.1")
    versions = platform.json("service", "configuration", "list", "shop")
    newest = versions[0]["version"]
    assert versions[0]["serving"] and versions[0]["document"]["hold_calls"] == 7
    changes = platform.json("service", "configuration", "diff", "shop", str(newest - 1), str(newest))
    assert {one["field"]: one["after"] for one in changes} == {"hold_calls": 7, "bake_seconds": 0.1}
    restored = platform.json("service", "configuration", "restore", "shop", str(newest - 1))
    assert restored["deployment"]["state"] == "succeeded"
    shown = platform.json("service", "configuration", "show", "shop", str(newest - 1))
    assert restored["configuration"] == shown["document"]
    assert platform.cli("service", "configuration", "show", "shop", "99", code=4).code == 4


def test_the_api_has_the_same_and_never_answers_with_a_value(platform: Platform) -> None:
    person = api_person(platform)
    status, body = person("PUT", "/services/shop/secrets/API_TOKEN", {"value": "another secret value"})
    assert status == 202, body
    number = json.loads(body)["number"]
    watched = platform.cli("deployment", "watch", "shop", str(number), "--json")
    assert '"succeeded"' in watched.out
    status, body = person("GET", "/services/shop/secrets")
    assert status == 200 and {one["name"] for one in json.loads(body)} >= {"API_TOKEN"}
    assert b"another secret value" not in body
    status, body = person("PUT", "/services/shop/secrets/API_TOKEN", {"value": {"not": "a text"}})
    assert status == 422 and b"not" in body
    status, body = person("GET", "/services/shop/configurations")
    newest = json.loads(body)[0]["version"]
    status, body = person("GET", f"/services/shop/configurations/{newest}/diff?against={newest - 1}")
    assert status == 200 and json.loads(body)[0]["field"] == "secrets.API_TOKEN"
    assert person("GET", "/services/shop/configurations/99")[0] == 404


def api_person(platform: Platform) -> Any:
    """The owner of the home, with its own key."""
    key = authorization(platform.home / "run", "ana")

    def ask(method: str, path: str, body: object = None) -> tuple[int, bytes]:
        headers = {"Authorization": key, "Content-Type": "application/json"}
        data = None if body is None else json.dumps(body).encode()
        url = f"{platform.record()['url']}/api/v1{path}"
        request = urllib.request.Request(url, data, headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return int(answer.status), answer.read()
        except urllib.error.HTTPError as problem:
            return problem.code, problem.read()

    return ask


def test_metrics_need_a_sign_in_and_tell_of_deployments_instances_and_parts(platform: Platform) -> None:
    url = platform.record()["url"]
    assert platform.get(f"{url}/metrics")[0] == 401
    status, body = platform.get(f"{url}/metrics", authorization(platform.home / "run", "ana"))
    assert status == 200
    seen = {
        (sample.name, *(value for _, value in sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(body.decode())
        for sample in family.samples
    }
    assert seen["stillframe_deployments", "shop", "succeeded"] >= 1
    assert seen["stillframe_instances", "shop", "ready"] == 1
    assert seen["stillframe_slots", "taken"] == 1 and seen["stillframe_slots", "free"] == 1
    assert {part: seen["stillframe_up", part] for part in ("web", "gateway", "worker")} == {
        "web": 1,
        "gateway": 1,
        "worker": 1,
    }
    phases = {names[1] for names in seen if names[0] == "stillframe_last_deployment_phase_seconds"}
    assert {"preflight", "freezing", "proving", "rotating", "baking"} <= phases
    assert any(names[0] == "stillframe_instance_restarts" for names in seen)


def test_ready_is_told_without_a_sign_in(platform: Platform) -> None:
    record = platform.record()
    assert platform.get(f"{record['url']}/readyz") == (200, b'{"status":"ready"}')
    assert platform.get(f"{record['gateway_url']}/readyz")[0] == 200


def test_the_workers_log_is_json_and_names_service_deployment_and_instance(platform: Platform) -> None:
    lines = (platform.home / "run" / "logs" / "worker.log").read_text().splitlines()
    events = [json.loads(line) for line in lines if line.startswith("{")]
    started = [one for one in events if one["event"] == "step" and one["step"] == "StartInstance"]
    assert [one for one in events if one["event"] == "step" and one["step"] == "Switch"]
    assert started and all(one["service"] == "shop" and one["deployment"] >= 1 for one in started)
