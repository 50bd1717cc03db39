from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator

import pytest

from snapshotter.errors import FileKeepsChanging, ForkFailed
from snapshotter.forked import MAX_UNITS, forked_map


def squares(unit: int) -> Iterator[tuple[int, int]]:
    yield unit * unit, os.getpid()


def test_every_unit_is_done_once_and_by_other_processes() -> None:
    results = list(forked_map(100, squares, 3))
    assert sorted(number for number, _ in results) == [unit * unit for unit in range(100)]
    assert os.getpid() not in {pid for _, pid in results}


def test_the_most_units_fit_and_more_are_refused() -> None:
    assert len(list(forked_map(MAX_UNITS, squares, 2))) == MAX_UNITS
    with pytest.raises(ValueError):
        list(forked_map(MAX_UNITS + 1, squares, 2))


def test_an_error_of_a_child_keeps_its_fields_and_what_came_before_it() -> None:
    def work(unit: int) -> Iterator[int]:
        yield unit
        raise FileKeepsChanging("x", 4)

    seen = []
    with pytest.raises(FileKeepsChanging) as caught:
        for result in forked_map(2, work, 2):
            seen.append(result)
    assert (caught.value.path, caught.value.attempts) == ("x", 4)
    assert sorted(seen) in ([0], [1], [0, 1])


def test_after_an_error_no_new_unit_begins_and_what_was_under_way_still_counts() -> None:
    def work(unit: int) -> Iterator[int]:
        yield unit
        if unit == 0:
            raise FileKeepsChanging("x", 4)
        if unit == 1:
            time.sleep(0.2)  # Under way when the other one fails.

    seen = []
    with pytest.raises(FileKeepsChanging):
        for result in forked_map(900, work, 2):
            seen.append(result)
    assert 0 in seen
    assert len(seen) < 900


def test_a_child_that_is_killed_is_noticed() -> None:
    def work(unit: int) -> Iterator[int]:
        os.kill(os.getpid(), signal.SIGKILL)
        yield unit

    with pytest.raises(ForkFailed) as caught:
        list(forked_map(4, work, 2))
    assert caught.value.status == signal.SIGKILL


def test_leaving_early_leaves_no_process_behind() -> None:
    results = forked_map(1000, squares, 2)
    _, pid = next(results)
    results.close()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
