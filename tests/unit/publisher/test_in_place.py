"""In-place rotations on a real database and a fake driver: short slots, held calls, the way back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from publisher.deployment import Rotation
from publisher.errors import CancelTooLate, NotAcceptable
from publisher.executor import Executor
from publisher.fleet import Fleet
from publisher.states import DeploymentState as S
from snapshotter.errors import SnapshotterError
from tests.fakes.publishing import Stage

pytestmark = pytest.mark.slow  # whole deployments, half a second each


def stage_with(tmp_path: Path, slots: int = 1, instances: int = 1, **settings: Any) -> Stage:
    """A service that serves snapshot one with every slot taken, and a workstation that has moved on."""
    stage = Stage(tmp_path / "home", slots=slots, **settings)
    record = stage.deployed(configuration_changes={"instances_minimum": instances})
    assert record.deployment.state is S.SUCCEEDED, record.error
    stage.snapshots.edit("two")
    return stage


def step_to(stage: Stage, row: int, kind: str, times: int = 1) -> None:
    """Perform steps until the next one is the `times`th of that kind; it is not performed."""
    from publisher.configuration import Configuration

    leases, seen = stage.ticker._leases, 0
    for _ in range(1000):
        upcoming = stage.ticker._next(row)
        assert upcoming is not None, f"it ended before {kind}"
        seen += type(upcoming.step).__name__ == kind
        if seen == times:
            return
        if type(upcoming.step).__name__ == "Wait":
            stage.clock.pass_seconds(max(upcoming.step.seconds, 0.01))  # type: ignore[attr-defined]
            continue
        token = leases.take(row)
        assert token is not None
        timing = Configuration().timing(stage.settings)
        Executor(stage.machinery, row, token, timing).perform(upcoming.step, upcoming.deployment)
        leases.give_back(row, token)
    raise AssertionError(f"{kind} never came")


def serving(stage: Stage) -> int | None:
    side = stage.publisher.service("demo").serving
    return side.snapshot_number if side else None


def kinds(record: Any) -> list[str]:
    return [event.kind for event in record.events]


def test_without_a_spare_slot_the_instance_is_replaced_in_its_own_slot(tmp_path: Path) -> None:
    stage = stage_with(tmp_path)
    record = stage.deployed()
    assert (record.deployment.state, record.deployment.rotation) == (S.SUCCEEDED, Rotation.IN_PLACE)
    order = [k for k in kinds(record) if k in ("Drain", "StopInstance", "StartInstance", "Switch")]
    assert order[:4] == ["Drain", "StopInstance", "StartInstance", "Switch"]
    assert serving(stage) == 2
    assert stage.accepting() == stage.driver.running() == [record.instances[0].id]
    way = next(finding for finding in record.deployment.findings if finding.name == "rotation")
    assert "0 of 1 slots are free" in way.sentence
    assert "holds calls" in way.sentence


def test_with_a_spare_slot_it_is_a_surge_unless_the_configuration_says_in_place(tmp_path: Path) -> None:
    stage = stage_with(tmp_path, slots=3)
    assert stage.deployed().deployment.rotation is Rotation.SURGE
    stage.snapshots.edit("three")
    record = stage.deployed(configuration_changes={"rotation": "in-place"})
    assert record.deployment.rotation is Rotation.IN_PLACE
    assert kinds(record).index("StopInstance") < kinds(record).index("Switch")


def test_while_the_slot_changes_hands_the_table_says_to_hold(tmp_path: Path) -> None:
    stage = stage_with(tmp_path)
    row = stage.deploy()
    for kind in ("StopInstance", "StartInstance", "Switch"):
        step_to(stage, row, kind)
        assert stage.accepting() == []
        assert stage.routes()["hold_seconds"] > 0
    stage.run(row)
    assert len(stage.accepting()) == 1


def test_the_old_instance_is_stopped_only_after_its_jobs(tmp_path: Path) -> None:
    stage = stage_with(tmp_path)
    stage.driver.behave("demo-1-", jobs=2)
    row = stage.deploy()
    for _ in range(100):
        stage.clock.pass_seconds(stage.ticker.tick(row) or 0)  # type: ignore[attr-defined]
    assert [i.split("-")[1] for i in stage.driver.running()] == ["1"]
    stage.driver.behave("demo-1-", jobs=0)
    stage.run(row)
    assert serving(stage) == 2


def test_nobody_else_gets_the_slot_while_it_changes_hands(tmp_path: Path) -> None:
    stage = stage_with(tmp_path)
    row = stage.deploy()
    step_to(stage, row, "StartInstance")
    assert stage.driver.running() == []
    other = stage.deployed("other")
    assert "0 of 1 are free (taken by demo-2-1" in other.error
    stage.run(row)
    assert serving(stage) == 2


BAD_SIDES = [
    {"presence": "ended", "problem": "exit code 1"},
    {"silent": True},
    {"refuses_start": True},
    {"plugins": [{"name": "p", "ok": False, "seconds": 0.1, "error": "No module named x", "traceback": ""}]},
]


@pytest.mark.parametrize("trouble", BAD_SIDES)
def test_a_candidate_that_fails_in_place_gives_the_slot_back_to_the_previous_snapshot(
    tmp_path: Path, trouble: dict[str, Any]
) -> None:
    stage = stage_with(tmp_path)
    stage.driver.behave("demo-2-", **trouble)
    record = stage.deployed()
    assert record.deployment.state is S.FAILED
    assert record.deployment.outcome == "failed; the previous snapshot serves again"
    assert "demo-2-1" in record.error
    assert serving(stage) == 1
    assert stage.accepting() == stage.driver.running()
    assert [i.rsplit("-", 1)[0] for i in stage.driver.running()] == ["demo-1-2"]


def test_a_new_instance_that_dies_while_baking_in_place_brings_the_previous_snapshot_back(
    tmp_path: Path,
) -> None:
    stage = stage_with(tmp_path)
    row = stage.deploy()
    step_to(stage, row, "Drain", times=2)
    stage.driver.kill(stage.driver.running()[0])
    stage.clock.pass_seconds(2.0)  # type: ignore[attr-defined]
    stage.run(row)
    record = stage.record()
    assert (record.deployment.state, serving(stage)) == (S.RETURNED, 1)
    assert "ended after the switch" in record.error
    assert [i.rsplit("-", 1)[0] for i in stage.accepting()] == ["demo-1-2"]


def test_a_cancel_while_the_old_instance_drains_lets_it_take_calls_again(tmp_path: Path) -> None:
    stage = stage_with(tmp_path)
    old = stage.accepting()
    stage.driver.behave("demo-1-", jobs=1)
    row = stage.deploy()
    step_to(stage, row, "CountWork")
    assert stage.accepting() == []
    stage.publisher.cancel("demo", 2, "bob")
    stage.run(row)
    record = stage.record()
    assert record.deployment.state is S.CANCELLED
    assert stage.accepting() == stage.driver.running() == old
    with pytest.raises(CancelTooLate):
        stage.publisher.cancel("demo", 2, "bob")


def test_a_cancel_after_the_switch_in_place_starts_the_previous_snapshot_again(tmp_path: Path) -> None:
    stage = stage_with(tmp_path)
    row = stage.deploy()
    step_to(stage, row, "Drain", times=2)
    stage.publisher.cancel("demo", 2, "bob")
    stage.run(row)
    assert (stage.record().deployment.state, serving(stage)) == (S.RETURNED, 1)
    assert len(stage.accepting()) == len(stage.driver.running()) == 1


def test_a_slot_that_does_not_come_free_fails_the_deployment_by_name(tmp_path: Path) -> None:
    stage = stage_with(tmp_path)
    stage.driver.behave("demo-1-", refuses_stop=True)
    record = stage.deployed()
    assert record.deployment.state is S.FAILED
    assert "The slot of instance demo-1-1" in record.error
    assert "is not free" in record.error
    stage.driver.behave("demo-1-")
    settle(stage)
    assert len(stage.accepting()) == 1, "the fleet stops it later, and serves the old snapshot again"
    assert serving(stage) == 1


@pytest.mark.parametrize("spare", [0, 1])
def test_several_instances_are_replaced_one_at_a_time_and_never_more_than_one_is_away(
    tmp_path: Path, spare: int
) -> None:
    stage = stage_with(tmp_path, slots=3 + spare, instances=3)
    row = stage.deploy()
    fewest, most = 3, 0
    for _ in range(2000):
        left = stage.ticker.tick(row)
        fewest, most = min(fewest, len(stage.accepting())), max(most, len(stage.driver.running()))
        if left is None:
            break
        stage.clock.pass_seconds(max(left, 0.01))  # type: ignore[attr-defined]
    record = stage.record()
    assert (record.deployment.state, record.deployment.rotation) == (S.SUCCEEDED, Rotation.IN_PLACE)
    assert (fewest >= 2, most) == (True, 3 + spare)
    assert len(stage.accepting()) == 3


def test_the_fleet_starts_nothing_beside_a_rotation_in_place(tmp_path: Path) -> None:
    stage = stage_with(tmp_path, slots=2, instances=2)
    row = stage.deploy()
    step_to(stage, row, "StartInstance")
    settle(stage)
    assert [i.rsplit("-", 1)[0] for i in stage.driver.created()] == ["demo-1-1", "demo-1-2"]
    stage.run(row)
    assert serving(stage) == 2


def test_hold_seconds_of_nought_refuse_in_place_until_somebody_accepts_it(tmp_path: Path) -> None:
    stage = Stage(tmp_path / "home", slots=1)
    stage.deployed(configuration_changes={"hold_seconds": 0})
    stage.snapshots.edit("two")
    record = stage.deployed()
    assert record.deployment.state is S.FAILED
    assert "hold_seconds is 0" in record.error
    record = stage.deployed(accept=["hold"])
    assert record.deployment.state is S.SUCCEEDED, record.error
    accepted = next(finding for finding in record.deployment.findings if finding.name == "hold")
    assert (accepted.accepted_by, accepted.level.value) == ("ana", "warning")
    assert record.deployment.accepted == ("hold",)


def test_only_findings_of_judgement_can_be_accepted(tmp_path: Path) -> None:
    stage = Stage(tmp_path / "home")
    for name in ("slots", "nonsense"):
        with pytest.raises(NotAcceptable, match="These can: disk"):
            stage.deploy(accept=[name])


def test_a_failed_freeze_in_place_touches_nothing(tmp_path: Path) -> None:
    stage = stage_with(tmp_path)
    old = stage.accepting()
    stage.snapshots.trouble = SnapshotterError("the disk is full")
    assert stage.deployed().deployment.state is S.FAILED
    assert stage.accepting() == stage.driver.running() == old


def settle(stage: Stage, looks: int = 14) -> None:
    """Let the fleet look that often, with its time passing."""
    passed = [0.0]
    fleet = Fleet(stage.machinery, lambda: passed[0])
    for _ in range(looks):
        fleet.look()
        fleet.wait(1e9)
        passed[0] += 11.0
        stage.clock.pass_seconds(11.0)  # type: ignore[attr-defined]
    fleet.close()
