"""What a new instance must show before it takes a call, and what speaks against it. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from publisher import steps
from publisher.deployment import Instance
from publisher.rotation.situation import Situation


def settled(s: Situation, instance: Instance) -> bool:
    """Healthy, and for long enough."""
    if not instance.healthy or instance.healthy_since is None:
        return False
    return s.left(instance.healthy_since, s.timing.minimum_healthy_seconds) <= 0


def broken_at_start(s: Situation, instance: Instance) -> str | None:
    """Why this one will not prove itself any more; None while it still may."""
    if instance.started_at is None:
        return None
    if instance.gone or instance.restarts > 0:
        return f"Instance {instance.id} ended while starting: {instance.problem or 'it gave no reason'}"
    if why := _not_imported(s, instance):
        return why
    # Judged by a fresh look only: nobody may have looked for a while, and one that is passing now is on its
    # way.
    fresh = instance.observed_at is not None
    fresh = fresh and s.left(instance.observed_at, s.timing.health_interval_seconds) > 0
    overdue = s.left(instance.started_at, s.timing.start_deadline_seconds) <= 0
    if overdue and fresh and not instance.healthy and instance.passes == 0:
        return (
            f"Instance {instance.id} was not healthy {s.timing.start_deadline_seconds:g} s after its start; "
            f"last probe: {instance.problem or 'no problem named'}"
        )
    return None


def broken_in_service(instance: Instance) -> str | None:
    """Why one that takes calls already cannot be trusted with them; None while it can."""
    if instance.gone or instance.restarts > 0:
        return f"Instance {instance.id} ended after the switch: {instance.problem or 'it gave no reason'}"
    if not instance.healthy:
        why = instance.problem or "it gave no reason"
        return f"Instance {instance.id} turned unhealthy after the switch: {why}"
    return None


def look(s: Situation, at: Sequence[Instance], why: str) -> steps.Probe | steps.Wait:
    """Probe those that were not looked at for an interval, or wait until one is due."""
    interval = s.timing.health_interval_seconds
    pauses = {i.id: s.left(i.observed_at, interval) for i in at if i.started_at}
    due = tuple(instance_id for instance_id, seconds in pauses.items() if seconds <= 0)
    return steps.Probe(due) if due else steps.Wait(min(pauses.values(), default=0.0), why)


def look_once_more(s: Situation) -> steps.Probe | steps.Wait | None:
    """None when all new instances have settled, as seen just now."""
    looked = look(s, s.own, "the new side is looked at once more")
    whole = all(settled(s, instance) for instance in s.own)
    return None if whole and isinstance(looked, steps.Wait) else looked


def _not_imported(s: Situation, instance: Instance) -> str | None:
    known_failing = s.deployment.known_failing
    for plugin in instance.plugins:
        if not plugin["ok"] and plugin["name"] not in known_failing:
            return f"Plugin {plugin['name']} does not import in instance {instance.id}: {plugin['error']}"
    if not instance.healthy:
        return None  # engines report their imports before they listen: until then silence means nothing
    reported = {plugin["name"] for plugin in instance.plugins}
    for name in s.deployment.expected_plugins:
        if name not in reported and name not in known_failing:
            return (
                f"Plugin {name} does not import in instance {instance.id}: it is in the snapshot, but the "
                "engine did not report it. Look at the engine's log; disable the plugin when it is not one."
            )
    return None
