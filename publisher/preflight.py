"""The checks before anything is changed.

Each has a name and answers with a sentence. None changes anything. Some findings are a matter of judgement:
whoever asks for the deployment may accept those by name, and the record keeps who did.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from publisher.deployment import Finding, Level, Rotation
from publisher.errors import NotAcceptable
from publisher.expectations import check_machine, check_saved_workflows
from publisher.room import Plan, check_disk, check_memory, check_slots, choose_way
from publisher.sandbox import check_downloads, check_network, check_secrets
from publisher.settings import Settings
from publisher.snapshots import Snapshots, Workstations
from workstation.errors import WorkstationError
from workstation.layout import Home

# Without a slot, a project or a node nothing can be tried; of these the caller may know better.
ACCEPTABLE = ("disk", "hold", "machine", "memory", "models", "network", "plugins")


@dataclass(frozen=True)
class Preflight:
    """What was found and decided. `failing`: plugins that do not import in the workstation either."""

    findings: tuple[Finding, ...]
    failing: tuple[str, ...]
    rotation: Rotation
    slots_at_hand: int


def run_preflight(
    plan: Plan, home: Home, settings: Settings, snapshots: Snapshots, workstations: Workstations
) -> Preflight:
    """All checks."""
    way = choose_way(plan)
    found = [*check_slots(plan, way), check_disk(plan, home, settings), check_memory(plan, home, way)]
    failing: Mapping[str, str] = {}
    if plan.reference is None:
        workstation = check_workstation(plan.project, workstations)
        found.append(workstation)
        if workstation.level is Level.OK:
            failing = workstations.failing_plugins(plan.project)
            found.append(check_plugins(failing))
    else:
        found.append(check_machine(plan, home))
    found += [check_secrets(plan), check_network(plan, home), check_downloads(plan, home)]
    found.append(check_saved_workflows(plan, home, snapshots, workstations))
    if plan.smoke_workflow is not None and not any(finding.level is Level.REFUSAL for finding in found):
        found += check_smoke(plan, plan.smoke_workflow, workstations)
    findings = tuple(_accepted(finding, plan) for finding in found)
    rotation = way.rotation if way else Rotation.SURGE
    return Preflight(findings, tuple(sorted(failing)), rotation, way.slots_at_hand if way else 0)


def check_acceptable(names: Iterable[str]) -> tuple[str, ...]:
    """These names, once each. Raises NotAcceptable for any other than ACCEPTABLE."""
    asked = tuple(dict.fromkeys(names))
    for name in asked:
        if name not in ACCEPTABLE:
            raise NotAcceptable(name, ACCEPTABLE)
    return asked


def _accepted(finding: Finding, plan: Plan) -> Finding:
    if finding.level is Level.OK or finding.name not in plan.accepted:
        return finding
    return replace(
        finding,
        level=Level.WARNING,
        sentence=f"{finding.sentence} Accepted by {plan.by}.",
        accepted_by=plan.by,
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
