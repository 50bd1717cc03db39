"""After the switch: the new side serves under watch, then what is left of the old one goes. Pure."""

from __future__ import annotations

from publisher import steps
from publisher.rotation.draining import retire
from publisher.rotation.proving import broken_in_service, look
from publisher.rotation.situation import Situation
from publisher.states import DeploymentState
from publisher.steps import Step

_S = DeploymentState


def after_switch(s: Situation) -> Step:
    """Rotating, and the traffic was given to the new side: every gateway must show it."""
    if s.given_up:
        return steps.AdvanceTo(_S.RETURNING)
    if s.deployment.switch_visible_at is None:
        return steps.Switch()
    return steps.AdvanceTo(_S.BAKING)


def baking(s: Situation) -> Step:
    """A new instance that breaks gives the traffic back; after the bake time the old side drains."""
    if s.deployment.drain_since is not None:
        return retire(s, s.old) or steps.Finish(_S.SUCCEEDED, "switched")
    if s.given_up:
        return steps.AdvanceTo(_S.RETURNING)
    if len(s.own) < s.deployment.instances_wanted:
        return steps.Fail("An instance of the new side disappeared while baking.")
    for instance in s.own:
        if why := broken_in_service(instance):
            return steps.Fail(why, instance.id)
    looked = look(s, s.own, "baking")
    if isinstance(looked, steps.Probe):
        return looked
    left = s.left(s.deployment.entered_at, s.timing.bake_seconds)
    if left > 0 or not all(instance.healthy for instance in s.own):
        return steps.Wait(min(looked.seconds, left) if left > 0 else looked.seconds, "baking")
    return steps.Drain(tuple(instance.id for instance in s.old))
