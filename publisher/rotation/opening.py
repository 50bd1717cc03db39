"""Preflight and freeze: nothing that serves is touched yet. Pure, and the same in every mode."""

from __future__ import annotations

from publisher import steps
from publisher.deployment import Level
from publisher.rotation.situation import Situation
from publisher.states import DeploymentState
from publisher.steps import Step

_S = DeploymentState


def queued(s: Situation) -> Step:
    """Begin."""
    return take_down_when_given_up(s) or steps.AdvanceTo(_S.PREFLIGHT)


def preflight(s: Situation) -> Step:
    """Look; refuse with everything that refuses."""
    if given_up := take_down_when_given_up(s):
        return given_up
    findings = s.deployment.findings
    if findings is None:
        return steps.RunPreflight()
    refusals = [finding.sentence for finding in findings if finding.level is Level.REFUSAL]
    return steps.Fail(" ".join(refusals)) if refusals else steps.AdvanceTo(_S.FREEZING)


def freezing(s: Situation) -> Step:
    """Freeze; end here when exactly this serves already."""
    if given_up := take_down_when_given_up(s):
        return given_up
    if s.deployment.snapshot_id is None:
        return steps.Freeze()
    if _runs_already(s):
        return steps.Finish(_S.SUCCEEDED, "unchanged")
    return steps.AdvanceTo(_S.PROVING)


def take_down_when_given_up(s: Situation) -> Step | None:
    """Before the switch: a failed or cancelled deployment stops what it started and ends."""
    if not s.given_up:
        return None
    for instance in s.own:
        if instance.stop_failed_at is None:  # otherwise the fleet goes on trying
            return steps.StopInstance(instance.id, "the deployment was given up")
    if s.deployment.failure:
        return steps.Finish(_S.FAILED, "failed")
    return steps.Finish(_S.CANCELLED, "cancelled")


def _runs_already(s: Situation) -> bool:
    """The serving side has this snapshot and configuration and is whole."""
    d = s.deployment
    if d.previous is None or not d.same_configuration or d.previous.snapshot_id != d.snapshot_id:
        return False
    serving = [
        i
        for i in s.old
        if i.deployment_id == d.previous.deployment_id and i.healthy and not i.gone and i.drain_since is None
    ]
    # A new bound alone restarts nothing: the fleet goes to the new number by itself.
    return len(serving) >= min(d.instances_wanted, d.previous.instances_wanted)
