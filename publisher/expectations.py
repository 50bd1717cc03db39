"""What saved workflows and an existing snapshot expect of this machine. Each answers with a finding."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from publisher.deployment import Finding, Level
from publisher.room import Plan
from publisher.snapshots import Snapshots, Workstations
from snapshotter.catalogue import find_snapshot
from snapshotter.describe.machine import machine_facts
from snapshotter.errors import SnapshotterError
from workstation.errors import WorkstationError
from workstation.layout import Home

NAMED_AT_MOST = 20  # a sentence, not a catalogue


def check_saved_workflows(
    plan: Plan, home: Home, snapshots: Snapshots, workstations: Workstations
) -> Finding:
    """Models that saved workflows name. Drafts are saved too, so that a missing one is a warning."""
    folder = _saved_in(plan, home, snapshots)
    files = sorted(folder.rglob("*.json")) if folder is not None and folder.is_dir() else []
    missing: dict[str, list[str]] = {}
    read = 0
    for file in files:
        workflow = _read(file)
        if workflow is None:
            continue
        try:
            models = workstations.missing_models(plan.project, workflow)
        except WorkstationError:
            continue  # the editor's own format names no inputs
        read += 1
        for model in models:
            missing.setdefault(f"{model.name} in models/{model.folder}", []).append(file.name)
    if not missing:
        told = f"All models of {read} saved workflows in API format are there" if read else "None is saved"
        return Finding("models", Level.OK, f"{told} ({len(files) - read} others were not read).")
    named = [f"{model} ({', '.join(sorted(users))})" for model, users in sorted(missing.items())]
    more = f" and {len(named) - NAMED_AT_MOST} more" if len(named) > NAMED_AT_MOST else ""
    return Finding(
        "models",
        Level.WARNING,
        f"Saved workflows name models that are missing: {'; '.join(named[:NAMED_AT_MOST])}{more}. "
        "Add them, or these workflows will be refused online.",
    )


def check_machine(plan: Plan, home: Home, here: Callable[[], Mapping[str, Any]] = machine_facts) -> Finding:
    """An existing snapshot may come from another machine: its processor, C library, driver against ours."""
    try:
        snapshot = find_snapshot(home.project(plan.project).snapshots, plan.reference or "")
    except SnapshotterError as problem:
        return Finding("machine", Level.OK, f"Not compared: {problem}")
    there = snapshot.facts.get("machine")
    if not isinstance(there, Mapping):
        return Finding("machine", Level.OK, "The snapshot does not say which machine it was frozen on.")
    refusals, warnings = compare_machines(there, here())
    if not refusals and not warnings:
        return Finding("machine", Level.OK, "This machine fits the one that the snapshot was frozen on.")
    return Finding(
        "machine",
        Level.REFUSAL if refusals else Level.WARNING,
        f"The snapshot was frozen on another kind of machine: {'; '.join([*refusals, *warnings])}. "
        "Freeze it on this machine, or accept `machine`.",
    )


def compare_machines(there: Mapping[str, Any], here: Mapping[str, Any]) -> tuple[list[str], list[str]]:
    """What cannot work, and what may not. Pure; facts that either side lacks are not compared."""
    refusals, warnings = [], []
    for fact in ("system", "machine"):
        old, new = _at(there, "platform", fact), _at(here, "platform", fact)
        if old and new and old != new:
            refusals.append(f"{fact} {old} there, {new} here")
    old, new = _at(there, "platform", "libc"), _at(here, "platform", "libc")
    if old and new and _version(new) < _version(old):
        warnings.append(f"C library {old} there, the older {new} here")
    gpus_there, gpus_here = _gpus(there), _gpus(here)
    if gpus_there and not gpus_here:
        refusals.append(f"it had {gpus_there[0].get('name', 'a GPU')}, here no GPU answers")
    elif gpus_there:
        old, new = str(gpus_there[0].get("driver_version", "")), str(gpus_here[0].get("driver_version", ""))
        if old and new and _version(new) < _version(old):
            warnings.append(f"GPU driver {old} there, the older {new} here: CUDA may be too new for it")
        memory_there, memory_here = _least_memory(gpus_there), _least_memory(gpus_here)
        if memory_here < memory_there:
            warnings.append(f"{memory_there} MiB a GPU there, {memory_here} MiB here")
    return refusals, warnings


def _saved_in(plan: Plan, home: Home, snapshots: Snapshots) -> Path | None:
    if plan.reference is None:
        return home.project(plan.project).workstation.workflows
    try:
        frozen = snapshots.resolve(plan.project, plan.reference)
        mounts = snapshots.view(plan.project, frozen.snapshot_id).mounts
    except SnapshotterError:
        return None  # the freeze step says so, and ends the deployment
    user = next((mount.source for mount in mounts if mount.component == "user"), None)
    return Path(user) / "default" / "workflows" if user else None


def _read(file: Path) -> Mapping[str, Any] | None:
    try:
        found = json.loads(file.read_bytes())
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) else None


def _at(facts: Mapping[str, Any], group: str, name: str) -> str:
    found = facts.get(group)
    return str(found.get(name) or "") if isinstance(found, Mapping) else ""


def _gpus(facts: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    found = facts.get("nvidia")
    return list(found.get("gpus") or []) if isinstance(found, Mapping) else []


def _least_memory(gpus: list[Mapping[str, Any]]) -> int:
    sizes = [str(gpu.get("memory.total", "")) for gpu in gpus]
    return min((int(size) for size in sizes if size.isdigit()), default=0)


def _version(text: str) -> tuple[int, ...]:
    digits = "".join(letter if letter.isdigit() else " " for letter in text)
    return tuple(int(part) for part in digits.split())
