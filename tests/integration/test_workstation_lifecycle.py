"""A workstation as a person uses it: start, look, break, restart, stop; real processes, one real download."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from pathlib import Path

import pytest

from workstation.command import EngineCommand, EngineStatus, ExitKind, RestartPolicy
from workstation.engines import EngineChoice
from workstation.errors import EngineMissing, ProjectRunning, WorkstationNotRunning
from workstation.home import open_home
from workstation.identity import ProcessIdentity
from workstation.layout import Home, Project
from workstation.plugins.imports import import_report
from workstation.process import (
    engine_log,
    follow_log,
    restart_workstation,
    run_engine,
    start_workstation,
    stop_workstation,
    wait_until_ready,
    workstation_state,
)
from workstation.project import create_project, remove_project

pytestmark = pytest.mark.slow
STANDIN = Path(__file__).parents[1] / "fakes" / "standin_comfyui.py"
LIMIT_SECONDS = 30.0


def until(condition, what: str):
    deadline = time.monotonic() + LIMIT_SECONDS
    while not (found := condition()):
        assert time.monotonic() < deadline, f"{what} did not happen in {LIMIT_SECONDS} s"
        time.sleep(0.02)
    return found


def call(url: str, body: object = None):
    data = None if body is None else json.dumps(body).encode()
    with urllib.request.urlopen(urllib.request.Request(url, data), timeout=LIMIT_SECONDS) as reply:
        return json.loads(reply.read())


@pytest.fixture
def home(tmp_path) -> Home:
    return open_home(tmp_path / "home")


@pytest.fixture
def project(home, tmp_path):
    engine = tmp_path / "standin"
    engine.mkdir()
    (engine / "main.py").write_bytes(STANDIN.read_bytes())
    project = create_project(home, "one", EngineChoice("comfyui", str(engine)))
    yield project
    stop_workstation(project)


def plugin(project: Project, name: str, text: str) -> None:
    (project.workstation.custom_nodes / f"{name}.py").write_text(f"{text}\nNODE_CLASS_MAPPINGS = {{}}\n")


def test_a_workstation_runs_a_workflow_and_names_the_plugin_that_failed(project):
    plugin(project, "good", "")
    plugin(project, "bad", "import nothing_here")
    assert start_workstation(project).alive
    state = wait_until_ready(project, LIMIT_SECONDS)
    assert start_workstation(project) == workstation_state(project) == state  # a second start changes nothing
    prompt = {"1": {"class_type": "StandInSave", "inputs": {"text": "hello"}}}
    prompt_id = call(f"{state.url}/prompt", {"prompt": prompt})["prompt_id"]
    history = until(lambda: call(f"{state.url}/history/{prompt_id}"), "the result")
    assert history[prompt_id]["status"]["status_str"] == "success"
    report = import_report(engine_log(project).read_text())
    assert (report["good"].ok, report["bad"].ok) == (True, False)
    assert "nothing_here" in report["bad"].traceback
    stopped = stop_workstation(project)
    assert (stopped.status, stopped.url, stopped.problem) == (EngineStatus.STOPPED, None, None)
    assert stop_workstation(project) == stopped


def test_an_engine_outlives_the_process_that_started_it(project):
    code = (
        "import sys; from pathlib import Path; from workstation.layout import Project;"
        "from workstation.process import start_workstation;"
        "start_workstation(Project('one', Path(sys.argv[1])))"
    )
    subprocess.run([sys.executable, "-c", code, str(project.root)], check=True, timeout=LIMIT_SECONDS)
    assert wait_until_ready(project, LIMIT_SECONDS).status is EngineStatus.RUNNING


def test_two_starts_at_once_make_one_keeper(project):
    states = []
    threads = [threading.Thread(target=lambda: states.append(start_workstation(project))) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(LIMIT_SECONDS)
    assert len({state.keeper for state in states}) == 1


def test_a_killed_engine_is_restarted_by_itself_and_says_so(project):
    start_workstation(project)
    first = wait_until_ready(project, LIMIT_SECONDS)
    os.kill(first.engine_pid, signal.SIGKILL)
    restarted = until(
        lambda: (s := workstation_state(project)).restarts and s.status is EngineStatus.RUNNING and s,
        "the restart",
    )
    assert restarted.engine_pid != first.engine_pid
    assert restarted.last_exit.kind is ExitKind.SIGNAL
    assert "SIGKILL" in restarted.problem


def test_a_killed_keeper_takes_its_engine_along_and_is_not_called_running(project):
    start_workstation(project)
    state = wait_until_ready(project, LIMIT_SECONDS)
    state.keeper.send(signal.SIGKILL)
    assert state.keeper.wait(LIMIT_SECONDS)
    now = workstation_state(project)
    assert (now.status, now.alive) == (EngineStatus.FAILED, False)
    until(lambda: ProcessIdentity.of(state.engine_pid) is None, "the end of the engine")
    assert start_workstation(project).alive


def test_a_restart_keeps_the_address_and_loads_plugins_anew(project):
    start_workstation(project)
    before = wait_until_ready(project, LIMIT_SECONDS)
    plugin(project, "added", "import __main__\n__main__.NODES['Added'] = __main__.NODES['StandInText']")
    restart_workstation(project)
    after = wait_until_ready(project, LIMIT_SECONDS)
    assert after.url == before.url
    assert "Added" in call(f"{after.url}/object_info")


def test_an_engine_that_cannot_start_is_given_up_with_the_reason(project):
    (project.workstation.engine / "main.py").write_text("import sys; sys.exit('no CUDA here')")
    from workstation import keeper

    assert keeper.POLICY.give_up_after == 5
    start_workstation(project)
    state = until(lambda: (s := workstation_state(project)).last_exit and s, "the first exit")
    assert state.last_exit.log_tail == ("no CUDA here",)
    stop_workstation(project)
    with pytest.raises(WorkstationNotRunning, match="stopped"):
        wait_until_ready(project, LIMIT_SECONDS)


def test_a_port_that_was_taken_in_between_is_replaced(project):
    text = STANDIN.read_text()
    trap = "import sys, pathlib\nif not pathlib.Path('tried').exists():\n    pathlib.Path('tried').touch()\n"
    trap += "    sys.exit('OSError: [Errno 98] Address already in use')\n"
    future = "from __future__ import annotations\n"
    (project.workstation.engine / "main.py").write_text(text.replace(future, future + trap, 1))
    start_workstation(project)
    ports = {workstation_state(project).port}
    state = until(
        lambda: (s := workstation_state(project)).status is EngineStatus.RUNNING and s, "another port"
    )
    assert state.restarts == 0
    assert ports


def test_the_log_is_followed_live(project):
    start_workstation(project)
    wait_until_ready(project, LIMIT_SECONDS)
    stop, lines = threading.Event(), []
    reader = threading.Thread(target=lambda: lines.extend(follow_log(project, stop)))
    reader.start()
    stop_workstation(project)
    stop.set()
    reader.join(LIMIT_SECONDS)
    assert any("To see the GUI" in line for line in lines)
    assert "ended" in lines[-1]


def test_a_running_project_is_not_removed_and_a_lost_engine_is_named(home, project):
    start_workstation(project)
    with pytest.raises(ProjectRunning):
        remove_project(home, "one")
    stop_workstation(project)
    (project.workstation.engine / "main.py").unlink()
    with pytest.raises(EngineMissing):
        start_workstation(project)


def test_a_keeper_is_small(project):
    start_workstation(project)
    state = wait_until_ready(project, LIMIT_SECONDS)
    status = Path(f"/proc/{state.keeper.pid}/status").read_text()
    assert int(status.split("VmRSS:")[1].split()[0]) < 30 * 1024


def test_a_real_package_is_planned_and_installed_over_the_platforms_own_base(home, project):
    """The only test that asks the real index; torch and a hundred others come from the base."""
    from workstation.bases import read_base
    from workstation.dependencies.apply import apply
    from workstation.dependencies.plan import plan

    base = read_base(home, "default")
    assert plan(project, base, ["torch>=2", "pytest"]).is_empty
    found = plan(project, base, ["six==1.16.0"])
    assert [*found.added, *(change.name for change in found.changed)] == ["six"]
    apply(project, found)
    code = "import six, torch.version; print(six.__version__, torch.version.__version__)"
    done = subprocess.run(
        [project.workstation.python, "-c", code], check=True, capture_output=True, text=True
    )
    assert done.stdout.split() == ["1.16.0", base.distributions["torch"]]


def memory_group() -> Path | None:
    """This process's own memory control group, when a group may be made below it."""
    for line in Path("/proc/self/cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        if "memory" in controllers.split(","):
            return Path("/sys/fs/cgroup/memory") / path.lstrip("/")
    return None


def test_a_kill_by_the_kernel_for_memory_is_told_apart(tmp_path):
    parent = memory_group()
    if parent is None or not os.access(parent, os.W_OK):
        pytest.skip("needs a writable memory control group (cgroup v1)")
    group = parent / f"stillframe-test-{os.getpid()}"
    group.mkdir()
    try:
        (group / "memory.limit_in_bytes").write_text(str(64 * 1024 * 1024))
        code = (
            f"import os; open({str(group / 'cgroup.procs')!r}, 'w').write(str(os.getpid()))\n"
            "print('allocating', flush=True); hoard = [bytearray(8 * 1024 * 1024) for _ in range(100)]"
        )
        command = EngineCommand((sys.executable, "-c", code), tmp_path, {})
        once = RestartPolicy(give_up_after=1)
        log, stop = tmp_path / "log", threading.Event()
        last = run_engine(command, log, on_state=lambda _: None, stop=stop, policy=once)
        assert (last.kind, last.log_tail) == (ExitKind.OUT_OF_MEMORY, ("allocating",))
    finally:
        group.rmdir()
