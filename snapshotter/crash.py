"""Places where a test may kill this process as `kill -9` would, to prove that whatever is left behind is
harmless.

Armed only by `arm` or by the environment variable STILLFRAME_CRASH_AT, read here once at import:
`STILLFRAME_CRASH_AT=published` kills at the first passage, `STILLFRAME_CRASH_AT=object-renamed:3` at the
third.
"""

from __future__ import annotations

import os
import signal

# In the order in which a freeze, then a materialisation, passes them.
POINTS = (
    "object-written",
    "object-renamed",
    "trees-stored",
    "synced",
    "manifest-written",
    "manifest-synced",
    "published",
    "scan-cached",
    "view-linked",
    "view-renamed",
)
# Passed only by what carries snapshots between homes: export, import, push, pull.
TRANSFER_POINTS = (
    "export-frame-written",
    "export-journaled",
    "export-finished",
    "export-renamed",
    "import-record-stored",
    "import-object-stored",
    "import-stored",
    "push-object-sent",
    "push-objects-sent",
    "push-manifest-written",
    "push-published",
)
# Passed only by what keeps the store: restore, delete, garbage collection.
RESTORE_POINTS = (
    "restore-kept",
    "restore-built",
    "restore-moved-aside",
    "restore-put",
    "restore-swapped",
    "restore-committed",
)
DELETE_POINTS = ("delete-counted", "delete-renamed", "delete-removed")
COLLECT_POINTS = (
    "collect-marked",
    "collect-distrusted",
    "collect-view-renamed",
    "collect-view-removed",
    "collect-object-removed",
    "collect-swept",
)
_KNOWN = (*POINTS, *TRANSFER_POINTS, *RESTORE_POINTS, *DELETE_POINTS, *COLLECT_POINTS)

_armed: dict[str, int] = {}


def arm(point: str, passage: int = 1) -> None:
    """Kill this process when it passes `point` for the `passage`-th time.

    Raises ValueError for an unknown point.
    """
    if point not in _KNOWN:
        raise ValueError(f"{point!r} is no crash point; there are {', '.join(_KNOWN)}")
    _armed[point] = passage


def crash_point(point: str) -> None:
    """Die here by SIGKILL when armed for this point; otherwise do nothing."""
    if not _armed or point not in _armed:
        return
    _armed[point] -= 1
    if _armed[point] <= 0:
        os.kill(os.getpid(), signal.SIGKILL)


def _arm_from_environment() -> None:
    point, _, passage = os.environ.get("STILLFRAME_CRASH_AT", "").partition(":")
    if point in _KNOWN:  # The publisher has points of its own under the same variable.
        arm(point, int(passage or 1))


_arm_from_environment()
