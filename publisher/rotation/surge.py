"""Surge: the new side comes up beside the old one, which stays warm until the bake time is over. Pure.

Before the switch a failure or a cancel takes the new side down. After it, the old side gets its traffic back.
"""

from __future__ import annotations

from publisher import steps
from publisher.deployment import Reason
from publisher.rotation.baking import after_switch
from publisher.rotation.draining import retire
from publisher.rotation.opening import take_down_when_given_up
from publisher.rotation.proving import broken_at_start, look, look_once_more, settled
from publisher.rotation.situation import Situation
from publisher.states import DeploymentState
from publisher.steps import Step

_S = DeploymentState


def proving(s: Situation) -> Step:
    """One candidate, out of traffic."""
    return take_down_when_given_up(s) or _bring_up(s, 1) or steps.AdvanceTo(_S.ROTATING)


def rotating(s: Situation) -> Step:
    """The others, then the switch."""
    if s.deployment.switched_at is not None:
        return after_switch(s)
    return take_down_when_given_up(s) or _bring_up(s, s.deployment.instances_wanted) or steps.Switch()


def returning(s: Situation) -> Step:
    """Back to the old side, which is warm."""
    d = s.deployment
    if d.reason is Reason.ROLLBACK and not d.cancelled_by:
        return steps.Finish(_S.FAILED, "a rollback is not rolled back by itself")
    if d.returned_at is None:
        return steps.SwitchBack()
    end = (
        (_S.RETURNED, "returned to the previous snapshot")
        if d.previous
        else (_S.FAILED, "nothing to return to")
    )
    return retire(s, s.own) or steps.Finish(*end)


def _bring_up(s: Situation, wanted: int) -> Step | None:
    """The next step towards `wanted` proven instances; None when all are, as seen just now."""
    for instance in s.own:
        if why := broken_at_start(s, instance):
            return steps.Fail(why, instance.id)
    by_ordinal = {instance.ordinal: instance for instance in s.own}
    for ordinal in range(1, wanted + 1):
        one = by_ordinal.get(ordinal)
        if one is None or one.started_at is None:
            return steps.StartInstance(ordinal)
        if not settled(s, one):
            return look(s, s.own, f"{one.id} is starting")
        if ordinal == 1 and s.deployment.has_smoke and one.smoked_at is None:
            return steps.RunSmoke(one.id)
    return look_once_more(s)
