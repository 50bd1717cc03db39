"""What is told of a freeze while somebody waits for it."""

from __future__ import annotations

import time
from itertools import pairwise

import pytest

from snapshotter import reading
from snapshotter.freeze import PROGRESS_SECONDS, FreezeProgress
from tests.unit.snapshotter.conftest import Desk


@pytest.fixture
def told() -> list[tuple[float, FreezeProgress]]:
    return []


def test_the_reading_is_told_seldom_and_to_its_end(
    desk: Desk, told: list[tuple[float, FreezeProgress]]
) -> None:
    for number in range(2000):
        (desk.plugin / f"{number}.py").write_text(str(number))
    desk.freeze(progress=lambda step: told.append((time.monotonic(), step)))
    phases = [step.phase for _, step in told]
    assert phases[0] == "scan"
    assert phases[-1] == "publish"
    times, steps = zip(*[(at, step) for at, step in told if step.phase == "read"], strict=True)
    assert all(after - before > PROGRESS_SECONDS * 0.9 for before, after in pairwise(times[:-1]))
    last = steps[-1]
    assert (
        (last.files_done, last.bytes_done) == (last.files_total, last.bytes_total) == (2002, last.bytes_total)
    )
    assert all(before.bytes_done <= after.bytes_done for before, after in pairwise(steps))


@pytest.mark.parametrize("few", [0, 64])
def test_a_large_file_is_named_before_it_is_read(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, few: int, told: list[tuple[float, FreezeProgress]]
) -> None:
    """With `few` at 0 by a forked reader."""
    monkeypatch.setattr(reading, "FEW_FILES", few)
    monkeypatch.setattr(reading, "FILES_A_UNIT", 1)
    (desk.plugin / "weights.bin").write_bytes(bytes(reading.LARGE_BYTES))
    desk.freeze(progress=lambda step: told.append((time.monotonic(), step)))
    first = next(step for _, step in told if step.phase == "read")
    assert first.path.endswith("stamp/weights.bin")
    assert first.files_done == 0
