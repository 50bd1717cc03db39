"""Letting instances go: by their jobs, then by their open calls, never past the limits. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from publisher import steps
from publisher.deployment import Instance, Timing
from publisher.rotation.situation import Situation, left
from publisher.steps import Step

COUNT_EVERY_SECONDS = 1.0


def retire(s: Situation, leaving: Sequence[Instance], heir: int | None = None) -> Step | None:
    """The next step to drain and stop these; None when none is left.

    `heir` is the deployment that takes over the slot of the next one that is stopped.
    """
    leaving = [instance for instance in leaving if instance.stop_failed_at is None]
    for instance in leaving:
        if why := may_stop(instance, s.now, s.timing):
            return steps.StopInstance(instance.id, why, heir)
    unmarked = tuple(instance.id for instance in leaving if instance.drain_since is None)
    if unmarked:
        return steps.Drain(unmarked)
    due = tuple(i.id for i in leaving if s.left(i.counted_at, COUNT_EVERY_SECONDS) <= 0)
    if due:
        return steps.CountWork(due)
    return steps.Wait(0.5, f"{', '.join(i.id for i in leaving)}: jobs to finish") if leaving else None


def may_stop(instance: Instance, now: datetime, timing: Timing) -> str | None:
    """Why this leaving instance may be stopped now; None while accepted work is unfinished on it."""
    if instance.started_at is None or instance.gone:
        return "it has ended"
    if instance.routed_at is None:
        return "it never took traffic"
    if not instance.healthy:
        return "it is unhealthy; its jobs go to others"
    if instance.drain_since is None:
        return None
    if left(instance.drain_since, timing.drain_hard_seconds, now) <= 0:
        return f"the hard drain limit passed with {_amount(instance.unfinished_jobs)} unfinished jobs"
    counted = instance.counted_at is not None and instance.counted_at >= instance.drain_since
    if not counted or instance.unfinished_jobs != 0:
        return None
    if instance.open_calls == 0:
        return "its work is done"
    soft_left = left(instance.drain_since, timing.drain_soft_seconds, now)
    return "its jobs are done; open streams had their time" if soft_left <= 0 else None


def _amount(jobs: int | None) -> str:
    return "an unknown number of" if jobs is None else str(jobs)
