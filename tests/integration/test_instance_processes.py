"""The agent and its engine as real processes: killed, replaced, deceived, and what is left afterwards."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

import pytest

from online_runtime.instance.boot import MARK
from online_runtime.instance.sessions import marked_processes, session_members
from online_runtime.instance.spec import InstanceFolder, InstanceState
from online_runtime.instance.state_file import AgentState, read_state, write_state
from publisher.drivers.contract import Presence
from publisher.drivers.process import ProcessDriver
from tests.contract.drivers.conftest import LIMIT_SECONDS, Machine
from tests.contract.drivers.frozen import FrozenHome, digest
from workstation.identity import ProcessIdentity
from workstation.layout import Home

pytestmark = pytest.mark.slow


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    home = FrozenHome(Home(tmp_path / "home")).build()
    machine = Machine(home, lambda: ProcessDriver(home.home.instances))
    yield machine
    for instance_id in machine.driver.list():
        machine.driver.stop(instance_id, grace_seconds=1)


@pytest.fixture
def stranger() -> Iterator[subprocess.Popen[bytes]]:
    """A process that is none of ours."""
    process = subprocess.Popen(("sleep", "300"), start_new_session=True)
    yield process
    process.kill()
    process.wait()


def state_of(folder: InstanceFolder) -> AgentState:
    state = read_state(folder)
    assert state is not None
    return state


def wait_for(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + LIMIT_SECONDS
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def folder_of(machine: Machine, instance_id: str) -> InstanceFolder:
    return InstanceFolder(machine.home.home.instances / instance_id)


def test_a_killed_agent_takes_its_engine_with_it_and_is_seen_as_ended(machine: Machine) -> None:
    spec, _ = machine.start_healthy()
    state = state_of(folder_of(machine, spec.instance_id))
    assert state.engine is not None
    state.agent.send(signal.SIGKILL)
    assert state.engine.wait(LIMIT_SECONDS)
    seen = machine.wait_until(spec, lambda seen: seen.presence is Presence.ENDED)
    assert seen.report is None
    assert seen.problem is not None
    assert "killed" in seen.problem


def test_what_a_killed_instance_left_running_ends_with_its_stop(machine: Machine) -> None:
    machine.home.write_plugin(
        "child",
        "import subprocess; subprocess.Popen(['sleep', '300'])\n"
        "subprocess.Popen(['sleep', '301'], start_new_session=True)\nNODE_CLASS_MAPPINGS = {}",
    )
    spec, _ = machine.start_healthy()
    state = state_of(folder_of(machine, spec.instance_id))
    assert state.engine is not None
    state.agent.send(signal.SIGKILL)
    state.engine.wait(LIMIT_SECONDS)
    assert len(session_members(state.engine)) == 1  # the plugin's children outlived its engine
    assert len(marked_processes(MARK, spec.instance_id)) == 2
    machine.driver.stop(spec.instance_id)
    assert session_members(state.engine) == marked_processes(MARK, spec.instance_id) == ()
    machine.driver.remove(spec.instance_id)


def test_an_engine_that_dies_is_started_again_and_says_how_it_ended(machine: Machine) -> None:
    spec, first = machine.start_healthy()
    assert first.engine_pid is not None
    os.kill(first.engine_pid, signal.SIGSEGV)
    machine.wait_until(spec, lambda seen: seen.report is not None and seen.report.restarts == 1)
    second = machine.wait_for(spec, InstanceState.READY)
    assert second.engine_pid != first.engine_pid
    assert second.last_exit is not None
    assert second.last_exit["signal"] == "SIGSEGV"


def test_a_reused_pid_is_not_taken_for_the_instance_and_is_never_signalled(
    machine: Machine, stranger: subprocess.Popen[bytes]
) -> None:
    spec, _ = machine.start_healthy()
    machine.driver.stop(spec.instance_id)
    folder = folder_of(machine, spec.instance_id)
    real = ProcessIdentity.of(stranger.pid)
    assert real is not None
    earlier = ProcessIdentity(real.pid, real.started_ticks - 1, real.boot)
    write_state(folder, AgentState(earlier, "http://127.0.0.1:1", engine=earlier))
    assert machine.driver.inspect(spec.instance_id).presence is Presence.ENDED
    machine.driver.stop(spec.instance_id, grace_seconds=0.1)
    machine.driver.remove(spec.instance_id)
    assert stranger.poll() is None


def test_a_process_of_an_earlier_boot_with_the_same_pid_and_ticks_is_another_process(
    machine: Machine, stranger: subprocess.Popen[bytes]
) -> None:
    spec, _ = machine.start_healthy()
    machine.driver.stop(spec.instance_id)
    real = ProcessIdentity.of(stranger.pid)
    assert real is not None
    earlier = ProcessIdentity(real.pid, real.started_ticks, "another-boot")
    folder = folder_of(machine, spec.instance_id)
    write_state(folder, AgentState(earlier, "http://127.0.0.1:1", engine=earlier))
    assert machine.driver.inspect(spec.instance_id).presence is Presence.ENDED
    machine.driver.stop(spec.instance_id, grace_seconds=0.1)
    assert stranger.poll() is None


class _Impostor(BaseHTTPRequestHandler):
    body: ClassVar[bytes] = b""

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(self.body)

    def log_message(self, *args: object) -> None:
        pass


def test_a_reply_with_another_token_counts_as_no_reply(machine: Machine) -> None:
    spec, _ = machine.start_healthy()
    folder = folder_of(machine, spec.instance_id)
    state = state_of(folder)
    report = machine.wait_for(spec, InstanceState.READY)
    _Impostor.body = report.to_json().replace(spec.token, "f" * 32).encode()
    with ThreadingHTTPServer(("127.0.0.1", 0), _Impostor) as impostor:
        threading.Thread(target=impostor.serve_forever, daemon=True).start()
        door = f"http://127.0.0.1:{impostor.server_address[1]}"
        write_state(folder, AgentState(state.agent, door, state.engine))
        seen = machine.driver.inspect(spec.instance_id)
        impostor.shutdown()
    assert (seen.presence, seen.report) == (Presence.RUNNING, None)
    assert seen.problem is not None
    assert "token" in seen.problem


def test_a_door_that_never_answers_is_a_failed_look_and_not_a_wait(machine: Machine) -> None:
    spec, _ = machine.start_healthy()
    state_of(folder_of(machine, spec.instance_id)).agent.send(signal.SIGSTOP)
    began = time.monotonic()
    seen = machine.driver.inspect(spec.instance_id, timeout_seconds=0.5)
    assert time.monotonic() - began < 3
    assert (seen.presence, seen.report) == (Presence.RUNNING, None)
    machine.driver.stop(spec.instance_id, grace_seconds=0.5)  # a stopped agent is killed all the same
    assert machine.driver.inspect(spec.instance_id).presence is Presence.ENDED


def test_a_second_agent_leaves_the_first_alone(machine: Machine) -> None:
    spec, report = machine.start_healthy()
    folder = folder_of(machine, spec.instance_id)
    done = subprocess.run(
        (os.sys.executable, "-m", "online_runtime.instance", str(folder.root)),
        capture_output=True,
        text=True,
        timeout=LIMIT_SECONDS,
        check=False,
    )
    assert done.returncode == 75
    assert "kept by another agent" in done.stderr
    assert machine.wait_for(spec, InstanceState.READY).engine_pid == report.engine_pid


def test_a_plugin_that_writes_into_its_own_folder_online_changes_the_instances_layer_only(
    machine: Machine,
) -> None:
    machine.home.write_plugin(
        "writer",
        "from pathlib import Path; here = Path(__file__).parent\n"
        "(here / '__init__.py').open('a').write('# changed online'); (here / 'state').write_text('x')\n"
        "NODE_CLASS_MAPPINGS = {}\n",
    )
    spec = machine.home.spec()
    before = digest(machine.home.home.store), digest(machine.home.workstation.root)
    machine.driver.create(spec)
    machine.wait_for(spec, InstanceState.READY)
    layer = folder_of(machine, spec.instance_id).layer
    assert [path.name for path in layer.glob("changes/*/state")] == ["state"]
    assert (digest(machine.home.home.store), digest(machine.home.workstation.root)) == before


def test_an_engine_inherits_no_secret_and_sees_only_its_own_gpu(machine: Machine) -> None:
    machine.home.write_plugin(
        "teller",
        "import json, os\nprint('ENV ' + json.dumps(dict(os.environ)), flush=True)\nNODE_CLASS_MAPPINGS = {}",
    )
    environment = {**os.environ, "DATABASE_PASSWORD": "hunter2", "CUDA_VISIBLE_DEVICES": "0,1,2,3"}
    driver = ProcessDriver(machine.home.home.instances, environment=environment)
    spec = machine.home.spec(gpu=3, environment={"FLAVOUR": "mild", "CUDA_VISIBLE_DEVICES": "7"})
    driver.create(spec)
    machine.wait_for(spec, InstanceState.READY)
    line = next(line for line in driver.logs(spec.instance_id) if line.startswith("ENV "))
    seen = json.loads(line.removeprefix("ENV "))
    assert seen["CUDA_VISIBLE_DEVICES"] == "3"
    assert seen["FLAVOUR"] == "mild"
    assert "hunter2" not in line
    assert spec.token not in line


def test_an_agent_is_small(machine: Machine) -> None:
    spec, _ = machine.start_healthy()
    state = state_of(folder_of(machine, spec.instance_id))
    status = Path(f"/proc/{state.agent.pid}/status").read_text()
    resident = next(line for line in status.splitlines() if line.startswith("VmRSS"))
    assert int(resident.split()[1]) < 30 * 1024


def test_remove_deletes_what_a_plugin_made_undeletable(machine: Machine) -> None:
    spec, _ = machine.start_healthy()
    machine.driver.stop(spec.instance_id)
    folder = folder_of(machine, spec.instance_id)
    locked = folder.layer / "changes" / "locked"
    locked.mkdir(parents=True)
    (locked / "file").touch()
    locked.chmod(0)
    machine.driver.remove(spec.instance_id)
    assert not folder.root.exists()


AS_A_USER = """
import json, signal, sys, time
from pathlib import Path
from online_runtime.instance.spec import InstanceSpec
from online_runtime.instance.state_file import read_state
from online_runtime.instance.spec import InstanceFolder
from publisher.drivers.process import ProcessDriver
instances, spec = Path(sys.argv[1]), InstanceSpec.from_json(Path(sys.argv[2]).read_text())
driver = ProcessDriver(instances)
driver.create(spec)
deadline = time.monotonic() + 30
while not ((seen := driver.inspect(spec.instance_id)).report and seen.report.healthy):
    assert time.monotonic() < deadline, (seen, driver.logs(spec.instance_id))
    time.sleep(0.05)
state = read_state(InstanceFolder(instances / spec.instance_id))
state.agent.send(signal.SIGKILL)
ended = state.engine.wait(10)
driver.stop(spec.instance_id)
driver.remove(spec.instance_id)
plugins = {plugin.name: plugin.ok for plugin in seen.report.plugins}
print(json.dumps([seen.report.isolation, plugins, ended, driver.list()]))
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="becomes an ordinary user, which takes root")
@pytest.mark.skipif(not Path("/usr/bin/python3").exists(), reason="needs a Python that everybody may run")
def test_an_ordinary_user_gets_the_same_isolation_and_no_engine_outlives_its_agent() -> None:
    root = Path(tempfile.mkdtemp(prefix="user-"))
    root.chmod(0o755)
    try:
        home = FrozenHome(Home(root / "home"), interpreter=Path("/usr/bin/python3").resolve()).build()
        home.write_plugin(
            "writer",
            "from pathlib import Path\nwith (Path(__file__).parent / '__init__.py').open('a') as file:\n"
            "    file.write('# changed online')\nNODE_CLASS_MAPPINGS = {}\n",
        )
        (root / "spec.json").write_text(home.spec().to_json())
        subprocess.run(("chown", "-R", "65534:65534", str(root)), check=True)
        before = digest(home.home.store)
        done = subprocess.run(
            ("/usr/bin/python3", "-c", AS_A_USER, str(home.home.instances), str(root / "spec.json")),
            user=65534,
            group=65534,
            extra_groups=[],
            env={"PYTHONPATH": str(Path(__file__).parents[2]), "PATH": os.defpath},
            cwd="/",
            capture_output=True,
            text=True,
            timeout=90,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout) == [
            "namespace",
            {"alpha": True, "single": True, "writer": True},
            True,
            [],
        ]
        assert digest(home.home.store) == before
    finally:
        shutil.rmtree(root)
