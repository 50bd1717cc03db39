"""The state machine of a deployment: every legal move in one table. Pure.

    queued -> preflight -> freezing -> proving -> rotating -> baking -> succeeded

Attempts only move forward. Before the switch a deployment may be cancelled; after it, what fails is returned
to the previous snapshot. In place, the old side gave slots away already before the switch, so that such a
deployment goes through `returning` whenever it is given up. A rollback is a new deployment, and is never
itself rolled back.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

from publisher.errors import IllegalMove


class DeploymentState(StrEnum):
    QUEUED = "queued"
    PREFLIGHT = "preflight"
    FREEZING = "freezing"
    PROVING = "proving"
    ROTATING = "rotating"
    BAKING = "baking"
    RETURNING = "returning"  # given up: the traffic, or the slots, go back to the previous side
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    RETURNED = "returned"
    CANCELLED = "cancelled"


_S = DeploymentState

MOVES: Mapping[DeploymentState, frozenset[DeploymentState]] = {
    _S.QUEUED: frozenset({_S.PREFLIGHT, _S.FAILED, _S.CANCELLED}),
    _S.PREFLIGHT: frozenset({_S.FREEZING, _S.PROVING, _S.FAILED, _S.CANCELLED}),
    _S.FREEZING: frozenset({_S.PROVING, _S.SUCCEEDED, _S.FAILED, _S.CANCELLED}),
    _S.PROVING: frozenset({_S.ROTATING, _S.RETURNING, _S.FAILED, _S.CANCELLED}),
    _S.ROTATING: frozenset({_S.BAKING, _S.RETURNING, _S.FAILED, _S.CANCELLED}),
    _S.BAKING: frozenset({_S.SUCCEEDED, _S.RETURNING}),
    _S.RETURNING: frozenset({_S.RETURNED, _S.FAILED, _S.CANCELLED}),
    _S.SUCCEEDED: frozenset(),
    _S.FAILED: frozenset(),
    _S.RETURNED: frozenset(),
    _S.CANCELLED: frozenset(),
}

FINAL = frozenset(state for state, onward in MOVES.items() if not onward)
ACTIVE = frozenset(MOVES) - FINAL
BEFORE_SWITCH = frozenset({_S.QUEUED, _S.PREFLIGHT, _S.FREEZING, _S.PROVING})


def advance(now: DeploymentState, to: DeploymentState) -> DeploymentState:
    """Return `to` when the move is legal; raise IllegalMove otherwise."""
    if to not in MOVES[now]:
        raise IllegalMove(now=now, to=to)
    return to
