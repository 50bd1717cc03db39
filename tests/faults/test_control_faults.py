"""Faults of the control plane by their numbers: several workers, a paused one, clocks, reboots, upgrades."""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import textwrap
from collections import Counter
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import create_engine

from publisher.db.control import VERSIONS
from publisher.fleet import Fleet
from publisher.leases import Leases
from publisher.states import DeploymentState as S
from tests.fakes.publishing import Stage
from tests.faults.test_rotation_faults import serving_one, tick_until
from tests.running_platform import eventually

pytestmark = pytest.mark.slow  # whole deployments

ROOT = Path(__file__).parents[2]
QUICK = "minimum_healthy_seconds=0.2, bake_seconds=0.2, health_interval_seconds=0.05"
WORKER = f"""
    import sys, pathlib, time
    from publisher.clock import utc_now
    from tests.fakes.publishing import Stage
    stage = Stage(pathlib.Path(sys.argv[1]), clock=utc_now, {QUICK})
    row = int(sys.argv[2])
    print("ready", flush=True)
    sys.stdin.readline()
    deadline = time.monotonic() + 60
    while (left := stage.ticker.tick(row)) is not None:
        assert time.monotonic() < deadline
        time.sleep(min(left, 0.02))
"""
PAUSED = """
    import sys, pathlib
    from publisher import steps
    from publisher.db import deployments
    from publisher.deployment import Timing
    from publisher.errors import LeaseLost
    from publisher.executor import Executor
    from publisher.leases import Leases
    from tests.fakes.publishing import Stage
    stage = Stage(pathlib.Path(sys.argv[1]))
    row = int(sys.argv[2])
    leases = Leases(stage.control, 0.5, 0.1)
    token = leases.take(row)
    with stage.control.read() as tx:
        before = deployments.read(tx, row)
    with leases.renewing(row, token):
        print("holds", flush=True)
        sys.stdin.readline()
        executor = Executor(stage.machinery, row, token, Timing())
        for step in (steps.StartInstance(1), steps.Switch(), steps.StopInstance("demo-1-1-0000", "test")):
            try:
                executor.perform(step, before)
                print("done", flush=True)
            except LeaseLost:
                print("refused", flush=True)
"""


def started(code: str, home: Path, row: int) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code), str(home), str(row)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stdin=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline()
    return process


@pytest.mark.slow
def test_fault_6_two_workers_on_one_deployment_start_each_instance_once_and_do_each_step_once(
    tmp_path: Path,
) -> None:
    stage = Stage(tmp_path / "home")
    stage.deployed()
    stage.snapshots.edit("two")
    row = stage.deploy()
    both = [started(WORKER, tmp_path / "home", row) for _ in range(2)]
    for process in both:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    for process in both:
        process.communicate(timeout=120)
        assert process.returncode == 0
    record = stage.record()
    assert record.deployment.state is S.SUCCEEDED
    assert len([i for i in stage.driver.created() if i.startswith("demo-2-")]) == 1
    done = Counter((event.kind, event.subject, event.state) for event in record.events)
    assert [what for what, times in done.items() if times > 1] == []


@pytest.mark.slow
def test_fault_7_a_worker_that_was_paused_beyond_its_lease_can_write_nothing_and_start_nothing(
    tmp_path: Path,
) -> None:
    stage = serving_one(tmp_path)
    row = stage.deploy()
    paused = started(PAUSED, tmp_path / "home", row)
    os.kill(paused.pid, signal.SIGSTOP)
    try:
        leases = Leases(stage.control, 0.5, 0.1)
        token = eventually(lambda: leases.take(row), "the lease of a worker that stands still", 20)
        leases.give_back(row, token)
        stage.run(row)
        before, created = stage.record(), stage.driver.created()
        assert before.deployment.state is S.SUCCEEDED
    finally:
        os.kill(paused.pid, signal.SIGCONT)
    said, _ = paused.communicate("go\n", timeout=60)
    assert said.split() == ["refused"] * 3
    assert stage.record() == before
    assert stage.driver.created() == created
    assert stage.accepting() == [i for i in stage.driver.running() if i.startswith("demo-2-")]


@pytest.mark.parametrize("hours", [1, -1])
def test_fault_35_a_clock_that_jumps_steals_no_lease_and_never_hurts_the_side_that_serves(
    tmp_path: Path, hours: int
) -> None:
    stage = serving_one(tmp_path)
    row = stage.deploy()
    tick_until(stage, row, "StartInstance")
    holder = Leases(stage.control, 15, 5)
    assert holder.take(row) is not None
    stage.clock.now += timedelta(hours=hours)  # type: ignore[attr-defined]
    assert Leases(stage.control, 15, 5).take(row) is None
    assert all(i.startswith("demo-1-") for i in stage.accepting())
    restarted = Stage(tmp_path / "home", clock=stage.clock)
    with restarted.control.write() as tx:
        from publisher.db import deployments

        deployments.change(tx, row, lease_owner=None)
    restarted.run(row, limit=9000)
    record = restarted.record()
    # An hour ahead may look like a start that takes too long; then the old side goes on.
    assert record.deployment.state in (S.SUCCEEDED, S.FAILED)
    assert restarted.accepting()


def test_fault_26_after_a_reboot_in_mid_deployment_the_last_good_state_comes_back(tmp_path: Path) -> None:
    stage = serving_one(tmp_path)
    row = stage.deploy()
    tick_until(stage, row, "StartInstance")
    for instance_id in stage.driver.running():
        stage.driver.kill(instance_id)
    rebooted = Stage(tmp_path / "home", clock=stage.clock)
    rebooted.driver.behave("demo-2-", presence="ended", problem="the machine was restarted")
    rebooted.run(row)
    record = rebooted.record()
    assert record.deployment.state is S.FAILED
    assert "the machine was restarted" in record.error
    seconds = [0.0]
    fleet = Fleet(rebooted.machinery, monotonic=lambda: seconds[0])

    def serves() -> bool:
        seconds[0] += 5
        rebooted.clock.pass_seconds(5)  # type: ignore[attr-defined]
        fleet.look()
        fleet.wait(10)
        return bool(rebooted.accepting())

    eventually(serves, "the snapshot of the last deployment that succeeded", 60)
    assert all(i.startswith("demo-1-") for i in rebooted.accepting())
    fleet.close()


def test_fault_54_a_deployment_of_an_older_version_is_read_and_finished_by_this_one(tmp_path: Path) -> None:
    stage = serving_one(tmp_path)
    row = stage.deploy()
    tick_until(stage, row, "StartInstance")
    stage.control.close()
    file = tmp_path / "home" / "control.db"
    shutil.copy(file, tmp_path / "now.db")
    for leftover in tmp_path.glob("home/control.db*"):
        leftover.unlink()
    _schema(file, "0002")
    _copy_what_it_knew(tmp_path / "now.db", file)
    upgraded = Stage(tmp_path / "home", clock=stage.clock)
    upgraded.run(row)
    assert upgraded.record().deployment.state is S.SUCCEEDED
    assert all(i.startswith("demo-2-") for i in upgraded.accepting())


def _schema(file: Path, revision: str) -> None:
    """An empty database as that version made it."""
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(VERSIONS.parent))
    with create_engine(f"sqlite:///{file}").begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, revision)


def _copy_what_it_knew(source: Path, target: Path) -> None:
    """The rows of `source`, as far as `target` has tables and columns for them."""
    with sqlite3.connect(target) as database:
        database.execute("ATTACH DATABASE ? AS now", (str(source),))
        named = database.execute("SELECT name FROM main.sqlite_master WHERE type = 'table'").fetchall()
        for (table,) in named:
            if table == "alembic_version":
                continue
            columns = [row[1] for row in database.execute(f"PRAGMA main.table_info({table})")]
            listed = ", ".join(columns)
            database.execute(f"INSERT INTO main.{table} ({listed}) SELECT {listed} FROM now.{table}")
