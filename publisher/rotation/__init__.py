"""What to do next: one pure function over stored facts, and the runbooks of the two modes behind it.

Surge (a slot is spare for each new instance; `surge`):

    preflight, freeze
    start the candidate, prove it (healthy long enough, its plugins import, the smoke workflow gives a result)
    start the others one by one, each proven
    switch; bake with the old side warm
    drain the old side, stop it

In place (slots are short; `in_place`): the old side gives its slots up one by one, and takes them back when
the new side fails. Opening, proving, baking and draining are common to both.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime

from publisher.deployment import Deployment, Instance, Rotation, Timing
from publisher.rotation import in_place, opening, surge
from publisher.rotation.baking import baking
from publisher.rotation.draining import may_stop
from publisher.rotation.situation import Situation
from publisher.states import DeploymentState
from publisher.steps import Step

__all__ = ["may_stop", "next_step"]

_S = DeploymentState
_Rules = Mapping[DeploymentState, Callable[[Situation], Step]]


def next_step(deployment: Deployment, instances: Sequence[Instance], now: datetime, timing: Timing) -> Step:
    """The one step that brings `deployment` forward.

    `instances` are the live ones of its service, old and new.

    Raises KeyError for a final deployment: those are never asked about.
    """
    own = [i for i in instances if i.deployment_id == deployment.id and i.live]
    old = [i for i in instances if i.deployment_id != deployment.id and i.live]
    situation = Situation(deployment, tuple(sorted(own, key=lambda i: i.ordinal)), tuple(old), now, timing)
    return _RULES[deployment.rotation][deployment.state](situation)


_COMMON: _Rules = {
    _S.QUEUED: opening.queued,
    _S.PREFLIGHT: opening.preflight,
    _S.FREEZING: opening.freezing,
    _S.BAKING: baking,
}
_RULES: Mapping[Rotation, _Rules] = {
    Rotation.SURGE: {
        **_COMMON,
        _S.PROVING: surge.proving,
        _S.ROTATING: surge.rotating,
        _S.RETURNING: surge.returning,
    },
    Rotation.IN_PLACE: {
        **_COMMON,
        _S.PROVING: in_place.proving,
        _S.ROTATING: in_place.rotating,
        _S.RETURNING: in_place.returning,
    },
}
