"""Faults of rotations by their numbers, on a real database and a fake driver whose time is the test's own."""

from __future__ import annotations

from pathlib import Path

import pytest

from publisher.clock import utc_now
from publisher.errors import DeploymentInProgress, RollbackRefused
from publisher.fleet import Fleet
from publisher.states import DeploymentState as S
from publisher.sweep import Sweep
from tests.fakes.publishing import Stage
from tests.running_platform import eventually

pytestmark = pytest.mark.slow  # whole deployments


def serving_one(folder: Path, slots: int = 4, instances: int = 1) -> Stage:
    """A service that serves snapshot one, and a workstation that has moved on."""
    stage = Stage(folder / "home", slots=slots)
    assert (
        stage.deployed(configuration_changes={"instances_minimum": instances}).deployment.state is S.SUCCEEDED
    )
    stage.snapshots.edit("two")
    return stage


def tick_until(stage: Stage, row: int, reached: str, limit: int = 3000) -> None:
    """Tick until an event of that kind is in the record; waiting takes no time."""
    for _ in range(limit):
        if any(event.kind == reached for event in stage.record().events):
            return
        left = stage.ticker.tick(row)
        assert left is not None, f"it ended without {reached}"
        stage.clock.pass_seconds(max(left, 0.01))  # type: ignore[attr-defined]
    raise AssertionError(f"{reached} never came")


@pytest.mark.parametrize("slots", [1, 4])
def test_a_drain_that_is_taken_up_by_another_worker_counts_from_its_stored_start(
    tmp_path: Path, slots: int
) -> None:
    """Faults 4 and 40: past the hard limit it is stopped, and the record says with how many jobs."""
    stage = serving_one(tmp_path, slots)
    stage.driver.behave("demo-1-", jobs=3)
    row = stage.deploy()
    tick_until(stage, row, "Drain")
    stage.clock.pass_seconds(stage.settings.drain_hard_seconds)  # type: ignore[attr-defined]
    restarted = Stage(tmp_path / "home", clock=stage.clock, slots=slots)
    restarted.run(row)
    record = restarted.record()
    assert record.deployment.state is S.SUCCEEDED
    stopped = next(event for event in record.events if event.kind == "StopInstance")
    assert "the hard drain limit passed with 3 unfinished jobs" in stopped.detail


def test_a_deployment_or_rollback_during_another_one_is_refused_by_its_number(tmp_path: Path) -> None:
    """Fault 9: during a drain, and during a rollback."""
    stage = serving_one(tmp_path)
    stage.driver.behave("demo-1-", jobs=1)
    row = stage.deploy()
    tick_until(stage, row, "Drain")
    with pytest.raises(DeploymentInProgress, match="deployment 2"):
        stage.deploy()
    with pytest.raises(DeploymentInProgress, match="deployment 2"):
        stage.publisher.roll_back("demo", by="bob", source="test")
    stage.driver.behave("demo-1-", jobs=0)
    stage.run(row)
    stage.publisher.roll_back("demo", by="bob", source="test")
    with pytest.raises(DeploymentInProgress, match="deployment 3"):
        stage.deploy()


def test_a_process_that_exits_at_once_fails_within_seconds_with_its_last_lines(tmp_path: Path) -> None:
    """Fault 12."""
    stage = serving_one(tmp_path)
    stage.driver.behave("demo-2-", presence="ended", problem="exit code 1")
    began = stage.clock()
    record = stage.deployed()
    assert (stage.clock() - began).total_seconds() < 5
    assert "exit code 1" in record.error
    failed = next(event for event in record.events if event.kind == "Fail")
    assert failed.data["log_tail"][-1] == "last line"


@pytest.mark.parametrize("slots", [1, 4])
def test_healthy_once_and_dead_within_the_minimum_healthy_time_never_gets_the_traffic(
    tmp_path: Path, slots: int
) -> None:
    """Fault 13."""
    stage = serving_one(tmp_path, slots)
    row = stage.deploy()
    tick_until(stage, row, "StartInstance")
    while not any(i.passes for i in stage.record().instances):
        stage.clock.pass_seconds(max(stage.ticker.tick(row) or 0, 0.01))  # type: ignore[attr-defined]
    stage.driver.kill(next(i for i in stage.driver.running() if i.startswith("demo-2-")))
    stage.run(row)
    record = stage.record()
    assert record.deployment.state is S.FAILED
    assert record.deployment.switched_at is None
    assert [i.split("-")[1] for i in stage.accepting()] == ["1"]


def test_health_that_flaps_fails_at_the_deadline_and_never_reaches_the_table(tmp_path: Path) -> None:
    """Fault 16."""
    stage = serving_one(tmp_path)
    row = stage.deploy()
    tick_until(stage, row, "StartInstance")
    for look in range(2000):
        stage.driver.behave("demo-2-", silent=bool(look % 2))
        left = stage.ticker.tick(row)
        if left is None:
            break
        assert all(i.startswith("demo-1-") for i in stage.accepting())
        stage.clock.pass_seconds(2.01)  # type: ignore[attr-defined]
    assert "was not healthy 60 s after its start" in stage.record().error


def test_without_any_message_the_sweep_alone_ends_a_deployment(tmp_path: Path) -> None:
    """Fault 34: the broker is down, so that nobody is woken."""
    quick = {"minimum_healthy_seconds": 0.1, "bake_seconds": 0.1, "health_interval_seconds": 0.05}
    stage = Stage(tmp_path / "home", clock=utc_now, **quick)
    stage.deploy()
    sweep = Sweep(stage.control, stage.ticker, Fleet(stage.machinery), 0.05)
    sweep.start()
    try:
        eventually(lambda: stage.record().deployment.final, "the end of the deployment", 20)
    finally:
        sweep.stop(10)
    assert stage.record().deployment.state is S.SUCCEEDED


def test_a_rollback_to_a_pruned_snapshot_or_to_the_present_one_is_refused_and_nothing_changes(
    tmp_path: Path,
) -> None:
    """Fault 51."""
    stage = serving_one(tmp_path)
    stage.deployed()
    serving = stage.accepting()
    with pytest.raises(RollbackRefused, match="deployment 2 is what it runs already; nothing was changed"):
        stage.publisher.roll_back("demo", to=2, by="bob", source="test")
    stage.snapshots.forget("one")
    with pytest.raises(RollbackRefused, match="the snapshot of deployment 1 cannot be used"):
        stage.publisher.roll_back("demo", to=1, by="bob", source="test")
    assert stage.accepting() == serving
    assert len(stage.publisher.deployments("demo")) == 2


@pytest.mark.parametrize("slots", [3, 6])
def test_of_three_instances_the_second_fails_and_all_three_old_ones_serve_again(
    tmp_path: Path, slots: int
) -> None:
    """Fault 52: in place never more than one is away; in a surge none ever is."""
    stage = serving_one(tmp_path, slots, instances=3)
    stage.driver.behave("demo-2-2", presence="ended", problem="exit code 1")
    row, fewest = stage.deploy(), 3
    for _ in range(3000):
        left = stage.ticker.tick(row)
        fewest = min(fewest, len(stage.accepting()))
        if left is None:
            break
        stage.clock.pass_seconds(max(left, 0.01))  # type: ignore[attr-defined]
    record = stage.record()
    assert record.deployment.state is S.FAILED
    assert "demo-2-2" in record.error
    assert [i.split("-")[1] for i in stage.accepting()] == ["1", "1", "1"]
    assert len(stage.driver.running()) == 3
    assert fewest >= (2 if slots == 3 else 3)
