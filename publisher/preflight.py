"""The checks before anything is changed.

Each has a name and answers with a sentence. None changes anything.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from publisher.deployment import Finding, Level
from publisher.settings import Settings
from publisher.snapshots import Workstations
from workstation.errors import WorkstationError
from workstation.layout import Home


@dataclass(frozen=True)
class Plan:
    """What a deployment is about to do, as far as the checks care. `reference` names an existing snapshot."""

    project: str
    instances_wanted: int
    slots: int
    taken_by: Mapping[int, str]
    own_instances: int  # started already: a repeated preflight must not count them against itself
    reference: str | None
    smoke_workflow: Mapping[str, Any] | None


def run_preflight(
    plan: Plan, home: Home, settings: Settings, workstations: Workstations
) -> tuple[tuple[Finding, ...], tuple[str, ...]]:
    """All findings, and the plugins that fail in the workstation already."""
    found = [check_slots(plan), check_disk(home, settings)]
    failing: Mapping[str, str] = {}
    if plan.reference is None:
        workstation = check_workstation(plan.project, workstations)
        found.append(workstation)
        if workstation.level is Level.OK:
            failing = workstations.failing_plugins(plan.project)
            found.append(check_plugins(failing))
    if plan.smoke_workflow is not None and not any(finding.level is Level.REFUSAL for finding in found):
        found += check_smoke(plan, plan.smoke_workflow, workstations)
    return tuple(found), tuple(sorted(failing))


def check_slots(plan: Plan) -> Finding:
    """Every new instance needs a slot beside the old ones."""
    free = plan.slots - len(plan.taken_by)
    needed = plan.instances_wanted - plan.own_instances
    if free >= needed:
        return Finding("slots", Level.OK, f"{free} of {plan.slots} slots are free, {needed} needed.")
    holders = ", ".join(sorted(plan.taken_by.values())) or "nobody"
    return Finding(
        "slots",
        Level.REFUSAL,
        f"The new side needs {needed} free slots beside the old one, but {free} of {plan.slots} are free "
        f"(taken by {holders}). Stop a service, ask for fewer instances, or raise the setting `slots`.",
    )


def check_disk(home: Home, settings: Settings) -> Finding:
    """A freeze on a full disk would fail half-way."""
    free = shutil.disk_usage(home.root).free
    if free >= settings.disk_room_bytes:
        return Finding("disk", Level.OK, f"{free / 1e9:.1f} GB are free.")
    return Finding(
        "disk",
        Level.REFUSAL,
        f"Only {free / 1e9:.1f} GB are free in {home.root}, {settings.disk_room_bytes / 1e9:.1f} GB are "
        "wanted: remove old snapshots or outputs.",
    )


def check_workstation(project: str, workstations: Workstations) -> Finding:
    """The project exists and its engine is in place."""
    try:
        return Finding("workstation", Level.OK, workstations.check(project))
    except WorkstationError as problem:
        return Finding("workstation", Level.REFUSAL, str(problem))


def check_plugins(failing: Mapping[str, str]) -> Finding:
    """Plugins that fail in the workstation will fail online as well: said, but no reason to refuse."""
    if not failing:
        return Finding("plugins", Level.OK, "No plugin is known to fail.")
    named = "; ".join(f"{name}: {error}" for name, error in sorted(failing.items()))
    return Finding("plugins", Level.WARNING, f"These do not import in the workstation: {named}.")


def check_smoke(plan: Plan, workflow: Mapping[str, Any], workstations: Workstations) -> list[Finding]:
    """The smoke workflow can run at all: its nodes and models exist."""
    try:
        workstations.check_workflow(workflow)
        found = [_nodes(plan, workflow, workstations), _models(plan, workflow, workstations)]
    except WorkstationError as problem:
        return [Finding("smoke workflow", Level.REFUSAL, str(problem))]
    return found


def _nodes(plan: Plan, workflow: Mapping[str, Any], workstations: Workstations) -> Finding:
    unknown = None if plan.reference is not None else workstations.unknown_nodes(plan.project, workflow)
    if unknown is None:
        return Finding("smoke nodes", Level.OK, "The candidate will say whether it has all nodes.")
    if not unknown:
        return Finding("smoke nodes", Level.OK, "The workstation has all nodes of the smoke workflow.")
    return Finding(
        "smoke nodes",
        Level.REFUSAL,
        f"The smoke workflow uses nodes that the workstation does not have: {', '.join(sorted(unknown))}. "
        "Install the plugins that bring them, or restart the workstation after installing.",
    )


def _models(plan: Plan, workflow: Mapping[str, Any], workstations: Workstations) -> Finding:
    missing = workstations.missing_models(plan.project, workflow)
    if not missing:
        return Finding("smoke models", Level.OK, "All models that the smoke workflow names are there.")
    named = "; ".join(f"{model.name} in models/{model.folder}" for model in missing)
    return Finding(
        "smoke models", Level.REFUSAL, f"The smoke workflow names models that are missing: {named}. Add them."
    )
