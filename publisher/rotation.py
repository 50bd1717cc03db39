"""What to do next.

One pure function over stored facts. The rules in order are the runbook of a surge rotation.

    preflight, freeze
    start the candidate, prove it (healthy long enough, its plugins import, the smoke workflow gives a result)
    start the others one by one, each proven
    switch; bake with the old side warm
    drain the old side, stop it

Before the switch a failure or a cancel takes the new side down. After it, the old side gets its traffic back.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta

from publisher import steps
from publisher.deployment import Deployment, Instance, Level, Reason, Timing
from publisher.states import DeploymentState
from publisher.steps import Step

_S = DeploymentState


def next_step(deployment: Deployment, instances: Sequence[Instance], now: datetime, timing: Timing) -> Step:
    """The one step that brings `deployment` forward.

    `instances` are the live ones of its service, old and new.

    Raises KeyError for a final deployment: those are never asked about.
    """
    own = [i for i in instances if i.deployment_id == deployment.id and i.live]
    old = [i for i in instances if i.deployment_id != deployment.id and i.live]
    return _RULES[deployment.state](deployment, sorted(own, key=lambda i: i.ordinal), old, now, timing)


def _queued(d: Deployment, own: list[Instance], old: list[Instance], now: datetime, timing: Timing) -> Step:
    return _take_down_when_given_up(d, own) or steps.AdvanceTo(_S.PREFLIGHT)


def _preflight(
    d: Deployment, own: list[Instance], old: list[Instance], now: datetime, timing: Timing
) -> Step:
    if given_up := _take_down_when_given_up(d, own):
        return given_up
    if d.findings is None:
        return steps.RunPreflight()
    refusals = [finding.sentence for finding in d.findings if finding.level is Level.REFUSAL]
    return steps.Fail(" ".join(refusals)) if refusals else steps.AdvanceTo(_S.FREEZING)


def _freezing(d: Deployment, own: list[Instance], old: list[Instance], now: datetime, timing: Timing) -> Step:
    if given_up := _take_down_when_given_up(d, own):
        return given_up
    if d.snapshot_id is None:
        return steps.Freeze()
    if _runs_already(d, old):
        return steps.Finish(_S.SUCCEEDED, "unchanged")
    return steps.AdvanceTo(_S.PROVING)


def _proving(d: Deployment, own: list[Instance], old: list[Instance], now: datetime, timing: Timing) -> Step:
    return (
        _take_down_when_given_up(d, own) or _bring_up(d, own, 1, now, timing) or steps.AdvanceTo(_S.ROTATING)
    )


def _rotating(d: Deployment, own: list[Instance], old: list[Instance], now: datetime, timing: Timing) -> Step:
    if d.switched_at is None:
        step = _take_down_when_given_up(d, own) or _bring_up(d, own, d.instances_wanted, now, timing)
        return step or steps.Switch()
    if d.failure or d.cancelled_by:
        return steps.AdvanceTo(_S.RETURNING)
    if d.switch_visible_at is None:
        return steps.Switch()
    return steps.AdvanceTo(_S.BAKING)


def _baking(d: Deployment, own: list[Instance], old: list[Instance], now: datetime, timing: Timing) -> Step:
    if d.drain_since is not None:
        return _retire(old, now, timing) or steps.Finish(_S.SUCCEEDED, "switched")
    if d.failure or d.cancelled_by:
        return steps.AdvanceTo(_S.RETURNING)
    if len(own) < d.instances_wanted:
        return steps.Fail("An instance of the new side disappeared while baking.")
    for instance in own:
        if why := _broken_in_service(instance):
            return steps.Fail(why, instance.id)
    looked = _look(own, now, timing, "baking")
    if isinstance(looked, steps.Probe):
        return looked
    left = _left(d.entered_at, timing.bake_seconds, now)
    if left > 0 or not all(instance.healthy for instance in own):
        return steps.Wait(min(looked.seconds, left) if left > 0 else looked.seconds, "baking")
    return steps.Drain(tuple(instance.id for instance in old))


def _returning(
    d: Deployment, own: list[Instance], old: list[Instance], now: datetime, timing: Timing
) -> Step:
    if d.reason is Reason.ROLLBACK and not d.cancelled_by:
        return steps.Finish(_S.FAILED, "a rollback is not rolled back by itself")
    if d.returned_at is None:
        return steps.SwitchBack()
    end = (
        (_S.RETURNED, "returned to the previous snapshot")
        if d.previous
        else (_S.FAILED, "nothing to return to")
    )
    return _retire(own, now, timing) or steps.Finish(*end)


_RULES: Mapping[
    DeploymentState, Callable[[Deployment, list[Instance], list[Instance], datetime, Timing], Step]
] = {
    _S.QUEUED: _queued,
    _S.PREFLIGHT: _preflight,
    _S.FREEZING: _freezing,
    _S.PROVING: _proving,
    _S.ROTATING: _rotating,
    _S.BAKING: _baking,
    _S.RETURNING: _returning,
}


def _take_down_when_given_up(d: Deployment, own: list[Instance]) -> Step | None:
    """Before the switch: a failed or cancelled deployment stops what it started and ends."""
    if not (d.failure or d.cancelled_by):
        return None
    for instance in own:
        if instance.stop_failed_at is None:  # otherwise the fleet goes on trying
            return steps.StopInstance(instance.id, "the deployment was given up")
    if d.failure:
        return steps.Finish(_S.FAILED, "failed")
    return steps.Finish(_S.CANCELLED, "cancelled")


def _runs_already(d: Deployment, old: list[Instance]) -> bool:
    """The serving side has this snapshot and configuration and is whole."""
    if d.previous is None or not d.same_configuration or d.previous.snapshot_id != d.snapshot_id:
        return False
    serving = [i for i in old if i.deployment_id == d.previous.deployment_id and i.healthy and not i.gone]
    return len(serving) >= d.instances_wanted


def _bring_up(d: Deployment, own: list[Instance], wanted: int, now: datetime, timing: Timing) -> Step | None:
    """The next step towards `wanted` proven instances; None when all are, as seen just now."""
    for instance in own:
        if why := _broken_at_start(d, instance, now, timing):
            return steps.Fail(why, instance.id)
    by_ordinal = {instance.ordinal: instance for instance in own}
    for ordinal in range(1, wanted + 1):
        wanted_one = by_ordinal.get(ordinal)
        if wanted_one is None or wanted_one.started_at is None:
            return steps.StartInstance(ordinal)
        if not _settled(wanted_one, now, timing):
            return _look(own, now, timing, f"{wanted_one.id} is starting")
        if ordinal == 1 and d.has_smoke and wanted_one.smoked_at is None:
            return steps.RunSmoke(wanted_one.id)
    looked = _look(own, now, timing, "the new side is looked at once more")
    settled = all(_settled(instance, now, timing) for instance in own)
    return None if settled and isinstance(looked, steps.Wait) else looked


def _settled(instance: Instance, now: datetime, timing: Timing) -> bool:
    """Healthy, and for long enough."""
    if not instance.healthy or instance.healthy_since is None:
        return False
    return _left(instance.healthy_since, timing.minimum_healthy_seconds, now) <= 0


def _broken_at_start(d: Deployment, instance: Instance, now: datetime, timing: Timing) -> str | None:
    if instance.started_at is None:
        return None
    if instance.gone or instance.restarts > 0:
        return f"Instance {instance.id} ended while starting: {instance.problem or 'it gave no reason'}"
    for plugin in instance.plugins:
        if not plugin["ok"] and plugin["name"] not in d.known_failing:
            return f"Plugin {plugin['name']} does not import in instance {instance.id}: {plugin['error']}"
    # Judged by a fresh look only: nobody may have looked for a while, and one that is passing now is on its
    # way.
    fresh = instance.observed_at is not None
    fresh = fresh and _left(instance.observed_at, timing.health_interval_seconds, now) > 0
    overdue = _left(instance.started_at, timing.start_deadline_seconds, now) <= 0
    if overdue and fresh and not instance.healthy and instance.passes == 0:
        return (
            f"Instance {instance.id} was not healthy {timing.start_deadline_seconds:g} s after its start; "
            f"last probe: {instance.problem or 'no problem named'}"
        )
    return None


def _broken_in_service(instance: Instance) -> str | None:
    if instance.gone or instance.restarts > 0:
        return f"Instance {instance.id} ended after the switch: {instance.problem or 'it gave no reason'}"
    if not instance.healthy:
        why = instance.problem or "it gave no reason"
        return f"Instance {instance.id} turned unhealthy after the switch: {why}"
    return None


def _look(own: list[Instance], now: datetime, timing: Timing, why: str) -> steps.Probe | steps.Wait:
    """Probe those that were not looked at for an interval, or wait until one is due."""
    left = {i.id: _left(i.observed_at, timing.health_interval_seconds, now) for i in own if i.started_at}
    due = tuple(instance_id for instance_id, seconds in left.items() if seconds <= 0)
    return steps.Probe(due) if due else steps.Wait(min(left.values(), default=0.0), why)


def _retire(leaving: list[Instance], now: datetime, timing: Timing) -> Step | None:
    """The next step to drain and stop these; None when none is left."""
    leaving = [instance for instance in leaving if instance.stop_failed_at is None]
    for instance in leaving:
        if why := may_stop(instance, now, timing):
            return steps.StopInstance(instance.id, why)
    unmarked = tuple(instance.id for instance in leaving if instance.drain_since is None)
    if unmarked:
        return steps.Drain(unmarked)
    due = tuple(i.id for i in leaving if _left(i.counted_at, 1.0, now) <= 0)
    if due:
        return steps.CountWork(due)
    return steps.Wait(0.5, f"{', '.join(i.id for i in leaving)}: jobs to finish") if leaving else None


def may_stop(instance: Instance, now: datetime, timing: Timing) -> str | None:
    """Why this leaving instance may be stopped now; None while accepted work is unfinished on it."""
    if instance.started_at is None or instance.gone:
        return "it has ended"
    if instance.routed_at is None:
        return "it never took traffic"
    if not instance.healthy:
        return "it is unhealthy; its jobs go to others"
    if instance.drain_since is None:
        return None
    if _left(instance.drain_since, timing.drain_hard_seconds, now) <= 0:
        return f"the hard drain limit passed with {_amount(instance.unfinished_jobs)} unfinished jobs"
    counted = instance.counted_at is not None and instance.counted_at >= instance.drain_since
    if not counted or instance.unfinished_jobs != 0:
        return None
    if instance.open_calls == 0:
        return "its work is done"
    soft_left = _left(instance.drain_since, timing.drain_soft_seconds, now)
    return "its jobs are done; open streams had their time" if soft_left <= 0 else None


def _amount(jobs: int | None) -> str:
    return "an unknown number of" if jobs is None else str(jobs)


def _left(since: datetime | None, seconds: float, now: datetime) -> float:
    """Seconds until `seconds` after `since` have passed; <= 0 when they have, or when there is no `since`."""
    return 0.0 if since is None else (since + timedelta(seconds=seconds) - now).total_seconds()
