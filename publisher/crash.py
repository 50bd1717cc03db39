"""Points at which a test may kill this process, to show that what is left behind can be taken up again."""

from __future__ import annotations

import os
import signal

POINTS = ("before", "row", "created", "admitted", "stopped", "switched", "acted", "recorded")

_armed: dict[str, int] = {}


def crash_at(point: str, passes: int = 0) -> None:
    """Arm.

    The process kills itself (SIGKILL) when it has passed `point` `passes` times and comes there again.
    """
    _armed[point] = passes


def crash_point(point: str) -> None:
    """Do nothing, unless armed."""
    left = _armed.get(point)
    if left is None:
        return
    if left > 0:
        _armed[point] = left - 1
        return
    os.kill(os.getpid(), signal.SIGKILL)
