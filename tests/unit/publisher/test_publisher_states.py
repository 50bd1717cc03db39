"""The table of moves: walked over every pair of states."""

from __future__ import annotations

from itertools import product

import pytest

from publisher.errors import IllegalMove
from publisher.states import ACTIVE, BEFORE_SWITCH, FINAL, MOVES, DeploymentState, advance

S = DeploymentState


@pytest.mark.parametrize(("now", "to"), list(product(S, S)), ids=str)
def test_every_pair_of_states_is_either_in_the_table_or_refused(now: S, to: S) -> None:
    if to in MOVES[now]:
        assert advance(now, to) is to
    else:
        with pytest.raises(IllegalMove, match=f"from {now} to {to}"):
            advance(now, to)


def test_every_state_is_active_or_final_and_never_both() -> None:
    assert frozenset(S) == ACTIVE | FINAL
    assert not ACTIVE & FINAL


def test_every_active_state_reaches_an_end() -> None:
    for state in ACTIVE:
        reached, frontier = {state}, [state]
        while frontier:
            onward = MOVES[frontier.pop()] - reached
            reached |= onward
            frontier += onward
        assert reached & FINAL, state


def test_what_may_still_be_cancelled_lies_before_the_switch() -> None:
    assert all(S.CANCELLED in MOVES[state] for state in BEFORE_SWITCH)
    assert S.CANCELLED not in MOVES[S.BAKING]


def test_a_deployment_that_returns_never_goes_forward_again() -> None:
    assert MOVES[S.RETURNING] <= FINAL
