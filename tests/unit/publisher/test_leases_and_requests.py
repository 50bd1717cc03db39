"""One deployment at a time, one executor at a time: between threads, processes and after a kill."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from publisher import steps
from publisher.db import deployments, instances
from publisher.db.control import open_control
from publisher.db.tables import Row
from publisher.deployment import Timing
from publisher.errors import ControlTooNew, LeaseLost
from publisher.executor import Executor
from publisher.leases import Leases
from publisher.states import DeploymentState as S
from tests.fakes.publishing import Stage

ROOT = Path(__file__).parents[3]


def _python(code: str, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code), *arguments],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stdin=subprocess.PIPE,
        text=True,
    )


def test_two_requests_at_once_in_two_processes_give_one_deployment_and_one_refusal_that_names_it(
    tmp_path: Path,
) -> None:
    Stage(tmp_path / "home").deployed()
    code = """
        import sys, pathlib
        from publisher.errors import DeploymentInProgress
        from tests.fakes.publishing import Stage
        stage = Stage(pathlib.Path(sys.argv[1]))
        print("ready", flush=True)
        sys.stdin.readline()
        try:
            stage.deploy()
            print("won")
        except DeploymentInProgress as refusal:
            print(f"refused by {refusal.number}")
    """
    both = [_python(code, str(tmp_path / "home")) for _ in range(2)]
    for process in both:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in both:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    said = sorted(process.communicate(timeout=60)[0].strip() for process in both)
    assert said == ["refused by 2", "won"]


def test_the_database_itself_refuses_a_second_active_deployment(tmp_path: Path) -> None:
    stage = Stage(tmp_path / "home")
    stage.deploy()
    from publisher.db.control import UniqueRuleBroken
    from publisher.deployment import Reason

    asked = deployments.Asked(1, Reason.DEPLOY, "b", "t", "", 1, False, None)
    with pytest.raises(UniqueRuleBroken), stage.control.write() as tx:
        deployments.create(tx, asked, stage.clock())


def test_whoever_lost_its_lease_writes_nothing_more(tmp_path: Path) -> None:
    stage = Stage(tmp_path / "home")
    row = stage.deploy()
    leases = Leases(stage.control, 15, 5)
    first = leases.take(row)
    assert first is not None
    with stage.control.write() as tx:
        deployments.take_lease(tx, row, deployments.holder(tx, row), "another:1:1")
        before = deployments.read(tx, row)
    executor = Executor(stage.machinery, row, first, Timing())
    with pytest.raises(LeaseLost):
        executor.perform(steps.AdvanceTo(S.PREFLIGHT), before)
    with pytest.raises(LeaseLost):
        executor.perform(steps.Probe(()), before) or executor.perform(steps.StartInstance(1), before)
    with stage.control.read() as tx:
        assert deployments.read(tx, row) == before
        assert instances.live(tx) == ()
    assert stage.driver.created() == []


def test_a_live_holder_elsewhere_keeps_its_lease_until_its_beat_stood_still_for_the_lease_time(
    tmp_path: Path,
) -> None:
    stage = Stage(tmp_path / "home")
    row = stage.deploy()
    now = [0.0]
    leases = Leases(stage.control, 15, 5, lambda: now[0])
    with stage.control.write() as tx:
        elsewhere = deployments.take_lease(tx, row, deployments.holder(tx, row), "another-boot/1:1:1")
    assert leases.take(row) is None
    now[0] = 14.0
    with stage.control.fenced(row, elsewhere or 0) as tx:
        deployments.beat(tx, row)
    assert leases.take(row) is None, "it was renewed"
    now[0] = 28.0
    assert leases.take(row) is None
    now[0] = 30.0
    assert leases.take(row) == (elsewhere or 0) + 1


def test_a_holder_whose_process_was_killed_is_replaced_at_once(tmp_path: Path) -> None:
    stage = Stage(tmp_path / "home")
    row = stage.deploy()
    code = """
        import os, sys, pathlib, signal
        from publisher.leases import Leases
        from tests.fakes.publishing import Stage
        stage = Stage(pathlib.Path(sys.argv[1]))
        assert Leases(stage.control, 15, 5).take(int(sys.argv[2])) == 1
        os.kill(os.getpid(), signal.SIGKILL)
    """
    assert _python(code, str(tmp_path / "home"), str(row)).wait(60) == -9
    assert Leases(stage.control, 15, 5).take(row) == 2


def test_the_migrations_make_just_the_tables_that_the_code_knows(tmp_path: Path) -> None:
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext

    control = open_control(f"sqlite:///{tmp_path}/control.db")
    with control._reads.connect() as connection:
        found = compare_metadata(MigrationContext.configure(connection), Row.metadata)
        assert found == []


def test_a_database_of_a_newer_version_is_refused_and_not_touched(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/control.db"
    control = open_control(url)
    with control._writes.begin() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
    control.close()
    before = (tmp_path / "control.db").read_bytes()
    with pytest.raises(ControlTooNew, match="9999"):
        open_control(url)
    assert (tmp_path / "control.db").read_bytes() == before


def test_a_deployment_whose_executor_is_killed_at_its_last_step_leaves_no_step_running(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(BaseException):
        """As a kill: nothing catches it."""

    stage = Stage(tmp_path / "home")

    def kill_when_it_has_ended(point: str) -> None:
        if point == "acted" and stage.record().deployment.final:
            raise Killed

    monkeypatch.setattr("publisher.executor.crash_point", kill_when_it_has_ended)
    deployment_id = stage.deploy()
    with pytest.raises(Killed):
        stage.run(deployment_id)
    record = stage.record()
    assert record.deployment.final
    assert [event.kind for event in record.events if event.ended_at is None] == []
