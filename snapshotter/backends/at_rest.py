"""Freeze a workstation at rest where its file system offers that, and as it is elsewhere.

At rest means: one sealed state is shown at the workstation's own place to whoever freezes it, while everybody
else goes on working. The snapshot is the same as the plain way makes of that state, to the byte.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TypeVar

from snapshotter.backends.contract import FreezeMode, Sealed, Way
from snapshotter.backends.overlay import Overlay
from snapshotter.backends.private_mounts import NoPrivateMounts, within_private_mounts
from snapshotter.backends.subvolume import Subvolume
from workstation.layout import Home, Project

T = TypeVar("T")


def at_rest(home: Home, project: Project, work: Callable[[Sealed | None], T]) -> tuple[T, FreezeMode]:
    """What `work` made of the workstation, and how it was frozen.

    `work` is given the sealed state that it sees at the workstation's place, or None when it sees what
    everybody sees. Raises what `work` raises.
    """
    reasons = []
    for way in _ways(home, project):
        refused = way.refusal()
        if not refused:
            try:
                return _by(way, work)
            except _NotSealed as error:
                refused = str(error)
        reasons.append(f"{way.name}: {refused}")
    return work(None), FreezeMode("plain", "; ".join(reasons))


def freeze_mode(home: Home, project: Project) -> FreezeMode:
    """How the workstation would be frozen now. Changes nothing that stays."""
    reasons = []
    for way in _ways(home, project):
        refused = way.refusal()
        if not refused:
            return FreezeMode(way.name, "sealed in milliseconds, then read while everybody goes on")
        reasons.append(f"{way.name}: {refused}")
    return FreezeMode("plain", "; ".join(reasons))


def _ways(home: Home, project: Project) -> Iterator[Way]:
    yield Overlay(project)
    yield Subvolume(home, project)


class _NotSealed(Exception):
    """A way that seemed open was not."""


def _by(way: Way, work: Callable[[Sealed | None], T]) -> tuple[T, FreezeMode]:
    sealing = way.seal()
    try:
        sealed = sealing.__enter__()
    except OSError as error:
        raise _NotSealed(f"it could not be sealed ({error.strerror})") from error
    try:
        done = within_private_mounts(sealed.show, lambda: work(sealed))
    except NoPrivateMounts as error:
        raise _NotSealed(f"the sealed state could not be shown ({error})") from error
    finally:
        sealing.__exit__(None, None, None)
    return done, FreezeMode(way.name, f"sealed in {sealed.seconds * 1000:.0f} ms", sealed.seconds)
