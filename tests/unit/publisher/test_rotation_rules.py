"""next_step, rule by rule: a situation in, one step out."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from online_runtime.instance.spec import InstanceState
from publisher import steps
from publisher.deployment import Deployment, Finding, Instance, Level, Reason, Side, Timing
from publisher.drivers.contract import Presence
from publisher.rotation import next_step
from publisher.states import DeploymentState as S

NOW = datetime(2030, 1, 1, 12, tzinfo=UTC)
TIMING = Timing()
OLD = Side(1, 1, "snap-1", 1, 1)


def ago(seconds: float) -> datetime:
    return NOW - timedelta(seconds=seconds)


def deployment(state: S, **values: Any) -> Deployment:
    asked = Deployment(2, "demo", 2, state, Reason.DEPLOY, "ana", "test", "", ago(100), ago(5), 1)
    return replace(asked, **{"snapshot_id": "snap-2", "snapshot_number": 2, "previous": OLD, **values})


def instance(ordinal: int = 1, of: int = 2, **values: Any) -> Instance:
    """A started, healthy, just observed instance, unless told otherwise."""
    made = Instance(f"i{of}-{ordinal}", "demo", of, of, ordinal, ordinal, None, f"snap-{of}", of, ago(60))
    well = {
        "started_at": ago(60),
        "presence": Presence.RUNNING,
        "state": InstanceState.READY,
        "healthy": True,
        "passes": 3,
        "healthy_since": ago(30),
        "observed_at": ago(0.5),
    }
    return replace(made, **{**well, **values})


OLD_ONE = instance(1, of=1, routed_at=ago(1000))
LIVING = {"healthy": False, "passes": 0, "healthy_since": None}


@pytest.mark.parametrize(
    ("situation", "instances", "step"),
    [
        (deployment(S.QUEUED), [OLD_ONE], steps.AdvanceTo(S.PREFLIGHT)),
        (deployment(S.QUEUED, cancelled_by="bob"), [OLD_ONE], steps.Finish(S.CANCELLED, "cancelled")),
        (deployment(S.PREFLIGHT), [OLD_ONE], steps.RunPreflight()),
        (deployment(S.PREFLIGHT, findings=()), [], steps.AdvanceTo(S.FREEZING)),
        (
            deployment(S.PREFLIGHT, findings=(Finding("slots", Level.REFUSAL, "No slot."),)),
            [OLD_ONE],
            steps.Fail("No slot."),
        ),
        (
            deployment(S.PREFLIGHT, findings=(Finding("plugins", Level.WARNING, "Hm."),)),
            [OLD_ONE],
            steps.AdvanceTo(S.FREEZING),
        ),
        (deployment(S.FREEZING, snapshot_id=None), [OLD_ONE], steps.Freeze()),
        (deployment(S.FREEZING), [OLD_ONE], steps.AdvanceTo(S.PROVING)),
        (deployment(S.PROVING), [OLD_ONE], steps.StartInstance(1)),
        (deployment(S.PROVING), [OLD_ONE, instance(started_at=None)], steps.StartInstance(1)),
        (deployment(S.PROVING), [instance()], steps.AdvanceTo(S.ROTATING)),
        (deployment(S.PROVING, has_smoke=True), [instance()], steps.RunSmoke("i2-1")),
        (deployment(S.PROVING, has_smoke=True), [instance(smoked_at=NOW)], steps.AdvanceTo(S.ROTATING)),
        (deployment(S.PROVING), [instance(observed_at=ago(2))], steps.Probe(("i2-1",))),
        (deployment(S.PROVING), [instance(observed_at=None, **LIVING)], steps.Probe(("i2-1",))),
        (deployment(S.ROTATING), [OLD_ONE, instance()], steps.Switch()),
        (deployment(S.ROTATING, instances_wanted=2), [instance()], steps.StartInstance(2)),
        (deployment(S.ROTATING, instances_wanted=2), [instance(), instance(2)], steps.Switch()),
        (deployment(S.ROTATING, switched_at=NOW), [OLD_ONE, instance()], steps.Switch()),
        (
            deployment(S.ROTATING, switched_at=NOW, switch_visible_at=NOW),
            [OLD_ONE, instance()],
            steps.AdvanceTo(S.BAKING),
        ),
        (deployment(S.ROTATING, switched_at=NOW, failure="x"), [OLD_ONE], steps.AdvanceTo(S.RETURNING)),
        (deployment(S.BAKING, entered_at=ago(60)), [OLD_ONE, instance()], steps.Drain(("i1-1",))),
        (deployment(S.BAKING, entered_at=ago(60)), [instance()], steps.Drain(())),
        (deployment(S.BAKING), [instance(observed_at=ago(9))], steps.Probe(("i2-1",))),
        (deployment(S.BAKING, cancelled_by="bob"), [OLD_ONE, instance()], steps.AdvanceTo(S.RETURNING)),
        (deployment(S.BAKING, failure="x"), [OLD_ONE, instance()], steps.AdvanceTo(S.RETURNING)),
        (deployment(S.BAKING, drain_since=NOW), [instance()], steps.Finish(S.SUCCEEDED, "switched")),
        (deployment(S.RETURNING, failure="x"), [OLD_ONE, instance()], steps.SwitchBack()),
    ],
)
def test_a_situation_has_one_next_step(situation: Deployment, instances: list[Instance], step: Any) -> None:
    assert next_step(situation, instances, NOW, TIMING) == step


def test_a_candidate_that_is_healthy_but_not_for_long_enough_is_waited_for() -> None:
    step = next_step(deployment(S.PROVING), [instance(healthy_since=ago(3))], NOW, TIMING)
    assert isinstance(step, steps.Wait)


def test_the_bake_is_waited_for_with_the_old_side_warm() -> None:
    step = next_step(deployment(S.BAKING, entered_at=ago(59)), [OLD_ONE, instance()], NOW, TIMING)
    assert step == steps.Wait(1.0, "baking")


@pytest.mark.parametrize(
    ("broken", "says"),
    [
        ({"presence": Presence.ENDED, "problem": "exit code 1"}, "ended while starting: exit code 1"),
        ({"state": InstanceState.FAILED, "problem": "given up"}, "given up"),
        ({"restarts": 1, "problem": "killed by SIGSEGV"}, "SIGSEGV"),
        ({"started_at": ago(901), "problem": "refused", **LIVING}, "not healthy 900 s after its start"),
        ({"plugins": ({"name": "p", "ok": False, "error": "no torch"},)}, "Plugin p does not import"),
    ],
)
def test_a_candidate_that_fails_to_prove_itself_fails_the_deployment(broken: Any, says: str) -> None:
    step = next_step(deployment(S.PROVING), [OLD_ONE, instance(**broken)], NOW, TIMING)
    assert isinstance(step, steps.Fail)
    assert says in step.why
    assert step.instance_id == "i2-1"


def test_a_plugin_that_fails_in_the_workstation_too_is_not_held_against_the_candidate() -> None:
    failing = instance(plugins=({"name": "p", "ok": False, "error": "no torch"},))
    asked = deployment(S.PROVING, known_failing=("p",))
    assert next_step(asked, [failing], NOW, TIMING) == steps.AdvanceTo(S.ROTATING)


@pytest.mark.parametrize("state", [S.PREFLIGHT, S.FREEZING, S.PROVING, S.ROTATING])
def test_before_the_switch_a_failure_stops_the_new_side_and_never_the_old(state: S) -> None:
    failed = deployment(state, failure="x")
    assert next_step(failed, [OLD_ONE, instance()], NOW, TIMING) == steps.StopInstance(
        "i2-1", "the deployment was given up"
    )
    assert next_step(failed, [OLD_ONE], NOW, TIMING) == steps.Finish(S.FAILED, "failed")


@pytest.mark.parametrize(
    "broken",
    [{"presence": Presence.ENDED}, {"healthy": False}, {"restarts": 1}, {"state": InstanceState.FAILED}],
)
def test_a_new_instance_that_breaks_in_the_bake_time_fails_the_deployment(broken: Any) -> None:
    step = next_step(deployment(S.BAKING), [OLD_ONE, instance(**broken)], NOW, TIMING)
    assert isinstance(step, steps.Fail)


def test_the_same_snapshot_and_configuration_on_a_whole_side_is_unchanged() -> None:
    same = deployment(S.FREEZING, snapshot_id="snap-1", same_configuration=True)
    assert next_step(same, [OLD_ONE], NOW, TIMING) == steps.Finish(S.SUCCEEDED, "unchanged")
    sick = replace(OLD_ONE, healthy=False)
    assert next_step(same, [sick], NOW, TIMING) == steps.AdvanceTo(S.PROVING)
    other = replace(same, same_configuration=False)
    assert next_step(other, [OLD_ONE], NOW, TIMING) == steps.AdvanceTo(S.PROVING)


def test_a_rollback_that_fails_is_not_rolled_back() -> None:
    failed = deployment(S.RETURNING, reason=Reason.ROLLBACK, failure="x")
    step = next_step(failed, [OLD_ONE, instance()], NOW, TIMING)
    assert step == steps.Finish(S.FAILED, "a rollback is not rolled back by itself")
    cancelled = replace(failed, cancelled_by="bob")
    assert next_step(cancelled, [OLD_ONE, instance()], NOW, TIMING) == steps.SwitchBack()


LEAVING = {"drain_since": ago(10), "counted_at": ago(0.5)}


@pytest.mark.parametrize(
    ("leaving", "stops"),
    [
        ({**LEAVING, "unfinished_jobs": 0, "open_calls": 0}, True),
        ({**LEAVING, "unfinished_jobs": 1, "open_calls": 0}, False),
        ({**LEAVING, "unfinished_jobs": 0, "open_calls": 2}, False),
        ({**LEAVING, "unfinished_jobs": None, "open_calls": None}, False),
        ({"drain_since": ago(601), "counted_at": NOW, "unfinished_jobs": 0, "open_calls": 2}, True),
        ({"drain_since": ago(601), "counted_at": NOW, "unfinished_jobs": 1, "open_calls": 0}, False),
        ({"drain_since": ago(1801), "counted_at": NOW, "unfinished_jobs": 9, "open_calls": 9}, True),
        ({"drain_since": NOW, "counted_at": ago(1), "unfinished_jobs": 0, "open_calls": 0}, False),
        ({"drain_since": NOW, "presence": Presence.ENDED}, True),
    ],
)
def test_an_old_instance_is_stopped_only_when_its_jobs_are_done_or_a_limit_passed(
    leaving: Any, stops: bool
) -> None:
    old = replace(OLD_ONE, **leaving)
    step = next_step(deployment(S.BAKING, drain_since=ago(5)), [old, instance()], NOW, TIMING)
    assert isinstance(step, steps.StopInstance) is stops


def test_an_instance_that_cannot_be_stopped_does_not_hold_the_deployment() -> None:
    stuck = replace(OLD_ONE, drain_since=ago(9), stop_failed_at=ago(1))
    step = next_step(deployment(S.BAKING, drain_since=ago(9)), [stuck, instance()], NOW, TIMING)
    assert step == steps.Finish(S.SUCCEEDED, "switched")
