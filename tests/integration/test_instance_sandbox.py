"""What an instance is given and what it can reach: its secrets, and the network that its service allows."""

from __future__ import annotations

import hashlib
import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from online_runtime.instance.spec import InstanceFolder, InstanceSpec, InstanceState
from online_runtime.instance.state_file import read_state
from publisher.drivers.contract import Presence
from publisher.drivers.errors import StartFailed
from publisher.drivers.process import ProcessDriver
from tests.contract.drivers.conftest import Machine
from tests.contract.drivers.frozen import FrozenHome
from workstation.layout import Home

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

VALUE = "hf_verysecretvalue"
LEAKER = """
import hashlib, os
print("the token is", os.environ.get("HF_TOKEN"), flush=True)
class Tell:
    RETURN_TYPES, FUNCTION, OUTPUT_NODE = ("STRING",), "run", True
    INPUT_TYPES = classmethod(lambda cls: {"required": {}})
    def run(self):
        found = os.environ.get("HF_TOKEN", "")
        left = sorted(name for name in os.environ if name.startswith("STILLFRAME_SECRET"))
        return (hashlib.sha256(found.encode()).hexdigest() + " " + str(left),)
NODE_CLASS_MAPPINGS = {"Tell": Tell}
"""
REACHER = """
import socket, json
def reach(host, port):
    try:
        with socket.create_connection((host, port), timeout=3):
            return "reached"
    except OSError as problem:
        return type(problem).__name__
class Reach:
    RETURN_TYPES, FUNCTION, OUTPUT_NODE = ("STRING",), "run", True
    INPUT_TYPES = classmethod(lambda cls: {"required": {"where": ("STRING",)}})
    def run(self, where):
        return (json.dumps({one: reach(*one.split(":")) for one in where.split()}),)
NODE_CLASS_MAPPINGS = {"Reach": Reach}
"""


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    home = FrozenHome(Home(tmp_path / "home")).build()
    machine = Machine(home, lambda: ProcessDriver(home.home.instances))
    yield machine
    for instance_id in machine.driver.list():
        machine.driver.stop(instance_id, grace_seconds=1)


@dataclass
class Listener:
    """Somebody on this machine's loopback who greets whoever comes."""

    server: socket.socket

    @property
    def place(self) -> str:
        return f"127.0.0.1:{self.server.getsockname()[1]}"

    @property
    def port(self) -> int:
        return int(self.server.getsockname()[1])


@pytest.fixture
def listener() -> Iterator[Listener]:
    yield from _listening()


@pytest.fixture
def other() -> Iterator[Listener]:
    yield from _listening()


def _listening() -> Iterator[Listener]:
    server = socket.create_server(("127.0.0.1", 0))

    def greet() -> None:
        while True:
            try:
                caller, _ = server.accept()
            except OSError:
                return
            with caller:
                caller.sendall(b"hello")

    threading.Thread(target=greet, daemon=True).start()
    yield Listener(server)
    server.close()


def folder_of(machine: Machine, spec: InstanceSpec) -> InstanceFolder:
    return InstanceFolder(machine.home.home.instances / spec.instance_id)


def run(url: str, node: str, **inputs: str) -> str:
    """One prompt at an engine; what its node gave, saved by the next one."""
    workflow = {
        "1": {"class_type": node, "inputs": inputs},
        "2": {"class_type": "StandInSave", "inputs": {"text": ["1", 0], "filename_prefix": "told"}},
    }
    prompt_id = str(uuid.uuid4())
    ask(url, "POST", "/prompt", {"prompt": workflow, "prompt_id": prompt_id})
    for _ in range(600):
        entry = json.loads(ask(url, "GET", f"/history/{prompt_id}"))
        if prompt_id in entry:
            assert entry[prompt_id]["status"]["status_str"] == "success", entry
            (image,) = entry[prompt_id]["outputs"]["2"]["images"]
            query = f"/view?filename={image['filename']}&type=output&subfolder={image['subfolder']}"
            return ask(url, "GET", query).decode()
        threading.Event().wait(0.05)
    raise AssertionError("the prompt did not end within 30 s")


def ask(url: str, method: str, path: str, body: object = None) -> bytes:
    connection = http.client.HTTPConnection("127.0.0.1", urlsplit(url).port, timeout=20)
    try:
        data = None if body is None else json.dumps(body)
        connection.request(method, path, data, {"Content-Type": "application/json"} if data else {})
        answer = connection.getresponse()
        told = answer.read()
        assert answer.status == 200, told
        return told
    finally:
        connection.close()


def told_hash(value: str) -> str:
    return hashlib.sha256(value.encode()).hexdigest() + " []"


def test_a_secret_reaches_the_engine_and_no_file_and_is_redacted_in_its_log(machine: Machine) -> None:
    machine.home.write_plugin("leaker", LEAKER)
    spec, report = machine.start_healthy(secret_names=("HF_TOKEN",), secrets={"HF_TOKEN": VALUE})
    assert report.engine_url is not None
    assert run(report.engine_url, "Tell") == told_hash(VALUE)
    log = machine.driver.logs(spec.instance_id)
    assert "the token is [secret HF_TOKEN]" in log
    kept = [file for file in folder_of(machine, spec).root.rglob("*") if file.is_file()]
    assert kept and not any(VALUE.encode() in file.read_bytes() for file in kept)


def test_an_engine_that_is_started_again_has_its_secrets_again(machine: Machine) -> None:
    machine.home.write_plugin("leaker", LEAKER)
    spec, first = machine.start_healthy(secret_names=("HF_TOKEN",), secrets={"HF_TOKEN": VALUE})
    assert first.engine_pid is not None
    os.kill(first.engine_pid, signal.SIGKILL)
    seen = machine.wait_until(
        spec,
        lambda seen: seen.report is not None and seen.report.healthy and seen.report.restarts == 1,
    )
    assert seen.report is not None and seen.report.engine_url is not None
    assert run(seen.report.engine_url, "Tell") == told_hash(VALUE)


def test_an_agent_whose_starter_was_cut_off_refuses_and_the_next_create_starts_it(machine: Machine) -> None:
    spec = machine.home.spec(secret_names=("HF_TOKEN",))
    with pytest.raises(StartFailed, match="ended with code 78") as refusal:
        machine.driver.create(spec)
    assert any("was not given its secrets HF_TOKEN" in line for line in refusal.value.log_tail)
    assert machine.driver.inspect(spec.instance_id).presence is not Presence.RUNNING
    machine.driver.create(machine.home.spec(**{**vars(spec), "secrets": {"HF_TOKEN": VALUE}}))
    machine.wait_for(spec, InstanceState.READY)


def test_with_its_network_off_an_engine_reaches_nobody_and_runs_jobs(
    machine: Machine, listener: Listener
) -> None:
    machine.home.write_plugin("reacher", REACHER)
    _, report = machine.start_healthy(network="off")
    assert report.isolation == "namespace+off"
    assert report.engine_url is not None
    found = json.loads(run(report.engine_url, "Reach", where=f"{listener.place} 192.0.2.1:80 10.0.0.1:80"))
    assert set(found.values()) == {"ConnectionRefusedError", "OSError"}
    assert found[listener.place] == "ConnectionRefusedError"


def test_with_an_open_network_the_same_engine_reaches_the_same_listener(
    machine: Machine, listener: Listener
) -> None:
    machine.home.write_plugin("reacher", REACHER)
    _, report = machine.start_healthy()
    assert (report.isolation, report.engine_url is not None) == ("namespace", True)
    assert json.loads(run(str(report.engine_url), "Reach", where=listener.place)) == {
        listener.place: "reached"
    }


def test_under_loopback_only_the_listed_ports_of_this_machine_are_reached(
    machine: Machine, listener: Listener, other: Listener
) -> None:
    machine.home.write_plugin("reacher", REACHER)
    _, report = machine.start_healthy(network="loopback", network_ports=(listener.port,))
    assert report.isolation == "namespace+loopback"
    where = f"{listener.place} {other.place} 192.0.2.1:80"
    found = json.loads(run(str(report.engine_url), "Reach", where=where))
    assert found[listener.place] == "reached"
    assert found[other.place] == "ConnectionRefusedError"
    assert found["192.0.2.1:80"] != "reached"


def test_a_stopped_instance_leaves_no_relay_behind(machine: Machine, listener: Listener) -> None:
    spec, report = machine.start_healthy(network="loopback", network_ports=(listener.port,))
    state = read_state(folder_of(machine, spec))
    assert state is not None and state.engine is not None
    from online_runtime.instance.sessions import session_members

    assert len(session_members(state.engine)) == 3  # the engine and two relays
    assert report.engine_pid is not None
    os.kill(report.engine_pid, signal.SIGKILL)
    machine.wait_until(
        spec,
        lambda seen: seen.report is not None and seen.report.healthy and seen.report.restarts == 1,
    )
    machine.driver.stop(spec.instance_id)
    assert session_members(state.engine) == ()
    with pytest.raises(ConnectionRefusedError):
        ask(str(report.engine_url), "GET", "/queue")


AS_A_USER = """
import json, sys, time
from dataclasses import replace
from pathlib import Path
from online_runtime.instance.spec import InstanceSpec
from publisher.drivers.process import ProcessDriver
instances, spec = Path(sys.argv[1]), InstanceSpec.from_json(Path(sys.argv[2]).read_text())
driver = ProcessDriver(instances)
driver.create(replace(spec, secrets={"HF_TOKEN": "hf_verysecretvalue"}))
deadline = time.monotonic() + 60
while not ((seen := driver.inspect(spec.instance_id)).report and seen.report.healthy):
    assert time.monotonic() < deadline, (seen, driver.logs(spec.instance_id))
    time.sleep(0.05)
print(json.dumps([seen.report.isolation, seen.report.engine_url]), flush=True)
sys.stdin.readline()
driver.stop(spec.instance_id)
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="becomes an ordinary user, which takes root")
@pytest.mark.skipif(not Path("/usr/bin/python3").exists(), reason="needs a Python that everybody may run")
def test_an_ordinary_user_can_close_the_network_as_well(listener: Listener) -> None:
    root = Path(tempfile.mkdtemp(prefix="user-"))
    root.chmod(0o755)
    try:
        home = FrozenHome(Home(root / "home"), interpreter=Path("/usr/bin/python3").resolve()).build()
        home.write_plugin("reacher", REACHER)
        home.write_plugin("leaker", LEAKER)
        spec = home.spec(network="off", secret_names=("HF_TOKEN",))
        (root / "spec.json").write_text(spec.to_json())
        subprocess.run(("chown", "-R", "65534:65534", str(root)), check=True)
        keeper = subprocess.Popen(
            ("/usr/bin/python3", "-c", AS_A_USER, str(home.home.instances), str(root / "spec.json")),
            user=65534,
            group=65534,
            extra_groups=[],
            env={"PYTHONPATH": str(Path(__file__).parents[2]), "PATH": os.defpath},
            cwd="/",
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert keeper.stdout is not None
        line = keeper.stdout.readline()
        if not line:
            raise AssertionError(keeper.communicate(timeout=60)[1])
        isolation, url = json.loads(line)
        found = json.loads(run(url, "Reach", where=f"{listener.place} 192.0.2.1:80"))
        secret = run(url, "Tell")
        keeper.communicate("end\n", timeout=60)
        assert isolation == "namespace+off"
        assert found[listener.place] == "ConnectionRefusedError"
        assert found["192.0.2.1:80"] != "reached"
        assert secret == told_hash(VALUE)
    finally:
        shutil.rmtree(root, ignore_errors=True)
