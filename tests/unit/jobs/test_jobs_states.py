from __future__ import annotations

import itertools
import uuid

import pytest

from online_runtime.jobs.errors import IllegalJobMove
from online_runtime.jobs.job import ENDS, MOVES, JobState, advance, is_prompt_id, moves_to


def test_every_pair_of_states_is_either_in_the_table_or_refused() -> None:
    for now, to in itertools.product(JobState, JobState):
        if to in MOVES.get(now, frozenset()):
            assert advance(now, to) is to
            assert now in moves_to(to)
        else:
            with pytest.raises(IllegalJobMove):
                advance(now, to)
            assert now not in moves_to(to)


def test_a_job_that_ended_never_moves_again() -> None:
    assert not any(end in MOVES for end in ENDS)


CANONICAL = "0d3b4a5c-9e0f-4b1a-8c7d-2f6e5a4b3c1d"


@pytest.mark.parametrize(
    "text", ["", "x", "../../etc/passwd", CANONICAL.upper(), CANONICAL.replace("-", ""), None, 7]
)
def test_only_canonical_uuids_are_prompt_ids(text: object) -> None:
    assert not is_prompt_id(text)
    assert is_prompt_id(CANONICAL)
    assert is_prompt_id(str(uuid.uuid4()))
