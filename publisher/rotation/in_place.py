"""In place: slots are short, so old instances give up theirs one by one. Pure.

    an old instance takes no new calls and finishes its jobs; the gateway holds calls when no other takes them
    it is stopped; in the same write its slot goes to the next new instance, so that nobody else can take it
    the new one is started and proven there; while others are still to come, it takes calls beside the old
    when all are there: switch, bake

Whatever goes wrong leads to `returning`: new instances give their slots back, and the previous snapshot is
started again in them. Only then the deployment ends. With several instances, never more than one is away.
"""

from __future__ import annotations

from publisher import steps
from publisher.deployment import Instance, Reason, Side
from publisher.rotation.baking import after_switch
from publisher.rotation.draining import retire
from publisher.rotation.proving import broken_at_start, broken_in_service, look, look_once_more, settled
from publisher.rotation.situation import Situation
from publisher.states import DeploymentState
from publisher.steps import Step

_S = DeploymentState


def proving(s: Situation) -> Step:
    """The first new instance, in a spare slot or in the first one that the old side gives up."""
    return _give_up(s) or _bring_up(s, 1) or steps.AdvanceTo(_S.ROTATING)


def rotating(s: Situation) -> Step:
    """The others, slot by slot, then the switch."""
    if s.deployment.switched_at is not None:
        return after_switch(s)
    return _give_up(s) or _bring_up(s, s.deployment.instances_wanted) or steps.Switch()


def returning(s: Situation) -> Step:
    """Bring the previous side back to what it was, then end."""
    d = s.deployment
    if d.switched_at is not None:
        if d.reason is Reason.ROLLBACK and not d.cancelled_by:
            return steps.Finish(_S.FAILED, "a rollback is not rolled back by itself")
        if d.returned_at is None:
            return steps.SwitchBack()
    if d.previous is None:
        return retire(s, s.own) or steps.Finish(*_without_previous(s))
    return _bring_back(s, d.previous) or steps.Finish(*_end(s, d.previous))


def _give_up(s: Situation) -> Step | None:
    return steps.AdvanceTo(_S.RETURNING) if s.given_up else None


def _bring_up(s: Situation, wanted: int) -> Step | None:
    """The next step towards `wanted` proven instances; None when all are, as seen just now."""
    for instance in s.own:
        why = broken_in_service(instance) if instance.admitted_at else broken_at_start(s, instance)
        if why:
            return steps.Fail(why, instance.id)
    by_ordinal = {instance.ordinal: instance for instance in s.own}
    for ordinal in range(1, wanted + 1):
        one = by_ordinal.get(ordinal)
        if one is None:
            return _make_room(s) or steps.StartInstance(ordinal)
        if one.started_at is None:
            return steps.StartInstance(ordinal)
        if not settled(s, one):
            return look(s, s.own, f"{one.id} is starting")
        if ordinal == 1 and s.deployment.has_smoke and one.smoked_at is None:
            return steps.RunSmoke(one.id)
        if ordinal < wanted and one.admitted_at is None:
            return steps.Admit(one.id)
    return look_once_more(s)


def _make_room(s: Situation) -> Step | None:
    """Free a slot for the next new instance; None when one is spare."""
    if len(s.own) + len(s.old) < s.deployment.slots_at_hand:
        return None
    for instance in s.old:
        if instance.stop_failed_at is not None and instance.drain_since is not None and _serves(s, instance):
            why = instance.problem or "it does not end"
            return steps.Fail(f"The slot of instance {instance.id} is not free: {why}", instance.id)
    leaving = [instance for instance in s.old if instance.stop_failed_at is None]
    leaving.sort(key=lambda i: (i.drain_since is None, _serves(s, i), not i.gone, i.healthy, -i.ordinal))
    return retire(s, leaving[:1], heir=s.deployment.id)


def _serves(s: Situation, instance: Instance) -> bool:
    """It is of the side that served before, not a leftover of an earlier one."""
    return s.deployment.previous is not None and instance.deployment_id == s.deployment.previous.deployment_id


def _bring_back(s: Situation, side: Side) -> Step | None:
    """The next step to have the previous side whole again; None when it is, or cannot be in time."""
    # One at a time they drain and start. A previous snapshot that ends again and again must not hold the
    # deployment for ever: then the fleet goes on trying.
    rounds = 1 + max(side.instances_wanted, s.deployment.instances_wanted)
    limit = rounds * (s.timing.start_deadline_seconds + s.timing.drain_hard_seconds)
    if s.left(s.deployment.entered_at, limit) <= 0:
        return retire(s, s.own)
    ours = [i for i in s.old if i.deployment_id == side.deployment_id and i.stop_failed_at is None]
    there = [i for i in ours if not i.gone]
    closed = tuple(i.id for i in there if i.drain_since is not None)
    if closed:
        return steps.Reopen(closed)
    heir = side.deployment_id if len(there) < side.instances_wanted else None
    for instance in ours:
        if instance.gone:
            return steps.StopInstance(instance.id, "it has ended", heir)
    if step := _start_again(s, there):
        return step
    # Those that serve nobody make room at once; those that do wait until what came back has settled.
    idle = [i for i in s.own if i.routed_at is None or i.gone or not i.healthy]
    if step := retire(s, idle[:1], heir):
        return step
    looked = look(s, there, "the previous snapshot is starting again")
    if isinstance(looked, steps.Probe) or any(not i.healthy and not _overdue(s, i) for i in there):
        return looked
    remaining = [i for i in s.own if i.stop_failed_at is None]
    return retire(s, remaining[:1], heir)


def _start_again(s: Situation, there: list[Instance]) -> Step | None:
    for instance in there:
        if instance.started_at is not None or _overdue(s, instance):
            continue
        # A start that failed is tried again, not more often than an instance is looked at.
        pause = s.left(instance.observed_at, s.timing.health_interval_seconds)
        if pause > 0:
            return steps.Wait(pause, f"{instance.id} could not be started")
        return steps.StartAgain(instance.id)
    return None


def _overdue(s: Situation, instance: Instance) -> bool:
    return s.left(instance.started_at or instance.created_at, s.timing.start_deadline_seconds) <= 0


def _end(s: Situation, side: Side) -> tuple[DeploymentState, str]:
    well = [i for i in s.old if i.deployment_id == side.deployment_id and i.healthy and not i.gone]
    whole = len(well) >= side.instances_wanted
    again = "the previous snapshot serves again" if whole else "the previous snapshot is not whole again"
    if s.deployment.switched_at is not None:
        return _S.RETURNED, "returned to the previous snapshot" if whole else again
    if s.deployment.failure:
        return _S.FAILED, f"failed; {again}"
    return _S.CANCELLED, f"cancelled; {again}"


def _without_previous(s: Situation) -> tuple[DeploymentState, str]:
    if s.deployment.cancelled_by and not s.deployment.failure and s.deployment.switched_at is None:
        return _S.CANCELLED, "cancelled"
    return _S.FAILED, "nothing to return to"
