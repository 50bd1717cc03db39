"""Whole deployments on a real database and a fake driver; time is the tests' own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from publisher.errors import (
    CancelTooLate,
    ConfigurationInvalid,
    DeploymentInProgress,
    RollbackRefused,
    ServiceNotFound,
)
from publisher.fleet import Fleet
from publisher.states import DeploymentState as S
from snapshotter.errors import SnapshotterError
from tests.fakes.publishing import Stage

pytestmark = pytest.mark.slow  # whole deployments


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    return Stage(tmp_path / "home")


def serving_number(stage: Stage) -> int:
    side = stage.publisher.service("demo").serving
    assert side is not None
    return side.snapshot_number


def test_a_first_deployment_ends_with_one_instance_that_takes_the_traffic(stage: Stage) -> None:
    record = stage.deployed()
    assert (record.deployment.state, record.deployment.outcome) == (S.SUCCEEDED, "switched")
    assert stage.accepting() == stage.driver.running() == [record.instances[0].id]
    kinds = [event.kind for event in record.events]
    assert kinds.index("StartInstance") < kinds.index("Switch") < kinds.index("Finish")
    assert all(event.result == "ok" and event.ended_at is not None for event in record.events)


def test_a_second_deployment_replaces_the_first_and_records_the_difference(stage: Stage) -> None:
    stage.deployed()
    stage.snapshots.edit("two")
    record = stage.deployed(note="brighter")
    assert record.diff_lines == ("snapshot-of-one -> snapshot-of-two",)
    assert record.diff_against == 1
    assert record.deployment.note == "brighter"
    assert [i.rsplit("-", 1)[0] for i in stage.driver.running()] == ["demo-2-1"]
    assert stage.accepting() == stage.driver.running()


def test_an_unchanged_deployment_says_so_and_starts_nothing(stage: Stage) -> None:
    stage.deployed()
    before = stage.driver.created()
    record = stage.deployed()
    assert record.deployment.outcome == "unchanged"
    assert stage.driver.created() == before


def test_a_configuration_change_is_a_deployment_of_the_same_snapshot(stage: Stage) -> None:
    stage.deployed()
    before = stage.accepting()
    changed = stage.publisher.configure("demo", {"arguments": ["--lowvram"]}, by="ana", source="test")
    assert changed is not None
    stage.run(changed.id)
    assert stage.record().deployment.outcome == "switched"
    assert len(stage.accepting()) == len(stage.driver.running()) == 1
    assert stage.accepting() != before
    assert serving_number(stage) == 1


@pytest.mark.parametrize(
    "trouble",
    [
        {"refuses_start": True},
        {"presence": "ended", "problem": "exit code 1"},
        {"state": "failed", "problem": "gave up"},
        {"silent": True},
        {"token": "somebody-else"},
        {
            "plugins": [
                {"name": "p", "ok": False, "seconds": 0.1, "error": "No module named x", "traceback": "T"}
            ]
        },
    ],
)
def test_a_bad_new_side_leaves_the_old_one_serving_and_a_record_that_says_why(
    stage: Stage, trouble: dict[str, Any]
) -> None:
    stage.deployed()
    old = stage.accepting()
    stage.snapshots.edit("two")
    stage.driver.behave("demo-2-", **trouble)
    record = stage.deployed()
    assert record.deployment.state is S.FAILED
    assert "demo-2-1" in record.error
    assert stage.accepting() == stage.driver.running() == old
    if "refuses_start" not in trouble:
        failed = next(event for event in record.events if event.kind == "Fail")
        assert failed.data["log_tail"][-1] == "last line"


def test_a_plugin_that_breaks_at_import_leaves_its_traceback_in_the_record(stage: Stage) -> None:
    broken = {
        "name": "p",
        "ok": False,
        "seconds": 0.1,
        "error": "No module named x",
        "traceback": "Traceback: x",
    }
    stage.driver.behave(plugins=[broken])
    record = stage.deployed()
    failed = next(event for event in record.events if event.kind == "Fail")
    assert failed.data["failing_plugins"][0]["traceback"] == "Traceback: x"


def test_a_new_instance_that_dies_while_baking_gives_the_traffic_back(stage: Stage) -> None:
    stage.deployed()
    old = stage.accepting()
    stage.snapshots.edit("two")
    row = stage.deploy()
    _run_into(stage, row, S.BAKING)
    new = stage.accepting()
    assert new != old
    stage.driver.kill(new[0])
    stage.run(row)
    record = stage.record()
    assert record.deployment.state is S.RETURNED
    assert "ended after the switch" in record.error
    assert stage.accepting() == stage.driver.running() == old
    assert serving_number(stage) == 1


def test_a_first_deployment_that_dies_while_baking_fails_and_leaves_nothing(stage: Stage) -> None:
    row = stage.deploy()
    _run_into(stage, row, S.BAKING)
    stage.driver.kill(stage.accepting()[0])
    stage.run(row)
    assert stage.record().deployment.state is S.FAILED
    assert stage.routes()["instances"] == []
    assert stage.driver.list() == ()


@pytest.mark.parametrize("state", [S.QUEUED, S.PREFLIGHT, S.FREEZING, S.PROVING, S.ROTATING, S.BAKING])
def test_a_cancel_undoes_what_was_begun_whatever_the_state(stage: Stage, state: S) -> None:
    stage.deployed()
    old = stage.accepting()
    stage.snapshots.edit("two")
    row = stage.deploy()
    _run_into(stage, row, state)
    stage.publisher.cancel("demo", 2, "bob")
    stage.run(row)
    expected = S.RETURNED if state is S.BAKING else S.CANCELLED
    assert stage.record().deployment.state is expected
    assert stage.accepting() == stage.driver.running() == old
    with pytest.raises(CancelTooLate):
        stage.publisher.cancel("demo", 2, "bob")


def test_a_drain_waits_for_unfinished_jobs_and_cannot_be_cancelled(stage: Stage) -> None:
    stage.deployed()
    stage.driver.behave("demo-1-", jobs=1)
    stage.snapshots.edit("two")
    row = stage.deploy()
    for _ in range(200):
        stage.clock.pass_seconds(stage.ticker.tick(row) or 0)  # type: ignore[attr-defined]
    assert stage.record().deployment.state is S.BAKING
    assert len(stage.driver.running()) == 2, "the old instance has a job"
    assert [i.split("-")[1] for i in stage.accepting()] == ["2"]
    with pytest.raises(CancelTooLate, match="draining"):
        stage.publisher.cancel("demo", 2, "bob")
    stage.driver.behave("demo-1-", jobs=0)
    stage.run(row)
    assert len(stage.driver.running()) == 1


def test_a_rollback_is_a_new_deployment_to_the_earlier_side(stage: Stage) -> None:
    stage.deployed()
    stage.snapshots.edit("two")
    stage.deployed()
    asked = stage.publisher.roll_back("demo", by="bob", source="test", note="too bright")
    stage.run(asked.id)
    record = stage.record()
    assert (record.deployment.number, record.deployment.rolls_back_to) == (3, 1)
    assert serving_number(stage) == 1
    with pytest.raises(RollbackRefused, match="runs already"):
        stage.publisher.roll_back("demo", to=1, by="bob", source="test")
    with pytest.raises(RollbackRefused, match="no earlier"):
        stage.publisher.roll_back("demo", by="bob", source="test")


def test_a_rollback_to_a_snapshot_that_is_gone_is_refused_and_changes_nothing(stage: Stage) -> None:
    stage.deployed()
    stage.snapshots.edit("two")
    stage.deployed()
    stage.snapshots.forget("one")
    with pytest.raises(RollbackRefused, match="cannot be used"):
        stage.publisher.roll_back("demo", by="bob", source="test")
    assert len(stage.publisher.deployments("demo")) == 2


def test_a_second_request_is_refused_and_names_the_first(stage: Stage) -> None:
    stage.deploy()
    with pytest.raises(DeploymentInProgress, match="deployment 1, started by ana") as refusal:
        stage.deploy()
    assert (refusal.value.number, refusal.value.state) == (1, "queued")
    with pytest.raises(DeploymentInProgress):
        stage.publisher.configure("demo", {"bake_seconds": 1}, by="b", source="t")
    with pytest.raises(DeploymentInProgress):
        stage.publisher.stop_service("demo")


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"instances_minimum": -1}, "scaling.minimum"),
        ({"colour": "red"}, "colour"),
        ({"colour": None}, "colour"),
        ({"health": {"passes": -1}}, "health.passes"),
        ({"drain": {"soft_seconds": 9, "hard_seconds": 1}}, "drain"),
        ({"arguments": ["--port=1"]}, "arguments"),
        ({"environment": {"CUDA_VISIBLE_DEVICES": "1"}}, "environment"),
        ({"environment": {"A=B": "1"}}, "environment"),
    ],
)
def test_an_impossible_configuration_is_refused_by_field_and_changes_nothing(
    stage: Stage, changes: dict[str, Any], field: str
) -> None:
    with pytest.raises(ConfigurationInvalid) as refusal:
        stage.deploy(configuration_changes=changes)
    assert refusal.value.field == field
    with pytest.raises(ServiceNotFound):
        stage.publisher.service("demo")


def test_too_few_slots_are_refused_in_preflight_by_name(tmp_path: Path) -> None:
    stage = Stage(tmp_path / "home", slots=1)
    stage.deployed(configuration_changes={"rotation": "surge"})
    stage.snapshots.edit("two")
    record = stage.deployed()
    assert record.deployment.state is S.FAILED
    assert "0 of 1 are free (taken by demo-1-1" in record.error
    assert len(stage.accepting()) == 1


def test_a_freeze_that_fails_is_told_in_the_record(stage: Stage) -> None:
    stage.snapshots.trouble = SnapshotterError("the disk is full")
    record = stage.deployed()
    assert (record.deployment.state, record.error) == (S.FAILED, "the disk is full")


def test_an_error_nobody_thought_of_is_tried_again_and_then_given_up(stage: Stage) -> None:
    stage.snapshots.trouble = ZeroDivisionError("oh")
    row = stage.deploy()
    for _ in range(5):
        with pytest.raises(ZeroDivisionError):
            stage.run(row)
    stage.run(row)
    assert stage.record().error == "An unexpected error came 5 times: ZeroDivisionError: oh"


def test_a_dry_run_tells_its_findings_and_changes_nothing(stage: Stage) -> None:
    told = stage.publisher.request_deployment("demo", by="ana", source="test", dry_run=True)
    assert told.findings is not None
    assert {finding.name for finding in told.findings} == {
        "slots",
        "rotation",
        "disk",
        "memory",
        "workstation",
        "plugins",
        "secrets",
        "network",
        "downloads",
        "models",
    }
    assert stage.publisher.services() == ()
    assert stage.woken == []


def test_the_smoke_workflow_names_what_is_missing_before_anything_starts(stage: Stage) -> None:
    stage.workstations.nodes = {"KSampler"}
    record = stage.deployed(smoke_workflow={"1": {"class_type": "NoSuchNode", "inputs": {}}})
    assert record.deployment.state is S.FAILED
    assert "NoSuchNode" in record.error
    assert stage.driver.created() == []


def test_an_instance_that_cannot_be_stopped_keeps_its_slot_and_is_stopped_later_by_the_fleet(
    stage: Stage,
) -> None:
    stage.deployed()
    stage.driver.behave("demo-1-", refuses_stop=True)
    stage.snapshots.edit("two")
    record = stage.deployed()
    assert record.deployment.state is S.SUCCEEDED
    assert any(event.result == "failed" and event.kind == "StopInstance" for event in record.events)
    assert len(stage.publisher.service("demo").instances) == 2
    stage.driver.behave("demo-1-")
    _settle(stage)
    assert len(stage.driver.running()) == len(stage.publisher.service("demo").instances) == 1


def test_an_instance_that_ends_later_is_replaced_and_the_deployment_stays_as_it_was(stage: Stage) -> None:
    record = stage.deployed()
    stage.driver.kill(stage.driver.running()[0])
    _settle(stage)
    assert [i.rsplit("-", 1)[0] for i in stage.driver.running()] == ["demo-1-2"]
    assert stage.accepting() == stage.driver.running()
    assert stage.record().deployment == record.deployment


def test_a_sick_instance_is_taken_out_of_traffic_and_put_back_when_it_is_well(stage: Stage) -> None:
    stage.deployed()
    stage.driver.behave(silent=True)
    _settle(stage, 5)
    assert stage.accepting() == []
    stage.driver.behave()
    _settle(stage, 5)
    assert len(stage.accepting()) == 1


def test_a_stopped_service_is_drained_and_a_new_deployment_starts_it_again(stage: Stage) -> None:
    stage.deployed()
    stage.publisher.stop_service("demo")
    assert stage.accepting() == []
    _settle(stage)
    assert stage.driver.list() == ()
    stage.deployed()
    assert len(stage.accepting()) == 1


def test_what_no_row_wants_is_reaped(stage: Stage) -> None:
    from online_runtime.instance.spec import InstanceSpec

    stage.deployed()
    spec = InstanceSpec("stray-1", "demo", 1, "s", 1, "t", "/w", (), "/m", "/i")
    stage.driver.create(spec)
    _settle(stage)
    assert "stray-1" not in stage.driver.list()
    assert len(stage.driver.running()) == 1


def test_tokens_are_shown_once_reach_the_gateway_hashed_and_leave_it_when_revoked(stage: Stage) -> None:
    stage.deployed()
    view, secret = stage.publisher.create_token("demo", "phone")
    assert secret not in (stage.home.run / "routing.json").read_text()
    assert [token["id"] for token in stage.routes()["tokens"]] == [view.id]
    stage.publisher.revoke_token("demo", view.id)
    assert stage.routes()["tokens"] == []


def _run_into(stage: Stage, row: int, state: S) -> None:
    """Step by step, until the deployment is in `state`."""
    from publisher.configuration import Configuration
    from publisher.executor import Executor

    leases = stage.ticker._leases
    for _ in range(500):
        if stage.record().deployment.state is state:
            return
        upcoming = stage.ticker._next(row)
        assert upcoming is not None
        if type(upcoming.step).__name__ == "Wait":
            stage.clock.pass_seconds(max(upcoming.step.seconds, 0.01))  # type: ignore[attr-defined]
            continue
        token = leases.take(row)
        assert token is not None
        timing = Configuration().timing(stage.settings)
        Executor(stage.machinery, row, token, timing).perform(upcoming.step, upcoming.deployment)
        leases.give_back(row, token)
    raise AssertionError(f"never came to {state}")


def _settle(stage: Stage, looks: int = 14) -> None:
    """Let the fleet look that often, with its time passing."""
    passed = [0.0]
    fleet = Fleet(stage.machinery, lambda: passed[0])
    for _ in range(looks):
        fleet.look()
        fleet.wait(1e9)
        passed[0] += 11.0
        stage.clock.pass_seconds(11.0)  # type: ignore[attr-defined]
    fleet.close()
