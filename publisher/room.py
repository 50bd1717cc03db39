"""Room for the new side: slots, and with them the way of rotating; disk; memory. Findings, all of them."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from online_runtime.instance.spec import InstanceFolder
from online_runtime.instance.state_file import read_state
from publisher.deployment import Finding, Level, Rotation
from publisher.settings import Settings
from snapshotter.catalogue import list_snapshots
from workstation.layout import FROZEN_FOLDERS, Home


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
    old_instances: int = 0  # live ones of this service that the new side may replace
    rotation: str = "auto"
    hold_seconds: float = 120.0  # of the side that serves
    accepted: tuple[str, ...] = ()
    by: str = ""
    network: str = "open"
    secret_problems: tuple[str, ...] = ()

    @property
    def free(self) -> int:
        return self.slots - len(self.taken_by)

    @property
    def needed(self) -> int:
        return self.instances_wanted - self.own_instances


@dataclass(frozen=True)
class Way:
    """How a deployment rotates. `slots_at_hand`: old and new instances that may live at once, in place."""

    rotation: Rotation
    slots_at_hand: int
    why: str


def choose_way(plan: Plan) -> Way | None:
    """Surge when slots suffice or the configuration says so, else in place; None when neither can be."""
    fits = plan.free >= plan.needed
    counted = f"{plan.free} of {plan.slots} slots are free, {plan.needed} needed"
    if plan.rotation != "in-place" and fits:
        return Way(Rotation.SURGE, 0, f"Surge, beside the old instances: {counted}.")
    if plan.rotation == "surge" or plan.free + plan.old_instances < plan.needed:
        return None
    if plan.rotation == "in-place":
        room = max(plan.old_instances, plan.instances_wanted)
        return Way(
            Rotation.IN_PLACE, room, f"In place, as the configuration says: {counted}. {_told(plan, room)}"
        )
    room = plan.free + plan.own_instances + plan.old_instances
    return Way(Rotation.IN_PLACE, room, f"In place: {counted}. {_told(plan, room)}")


def check_slots(plan: Plan, way: Way | None) -> list[Finding]:
    """Whether there is a way, and which; with what in-place asks of the gateway."""
    if way is None:
        return [Finding("slots", Level.REFUSAL, _no_slots(plan))]
    found = [
        Finding("slots", Level.OK, f"{plan.free} of {plan.slots} slots are free, {plan.needed} needed."),
        Finding("rotation", Level.OK, way.why),
    ]
    if way.rotation is Rotation.IN_PLACE and plan.hold_seconds <= 0 and plan.old_instances:
        said = (
            "In place, calls find no instance for a while, and this service's hold_seconds is 0: they would "
            "be refused. Set hold_seconds, free a slot, or accept `hold`."
        )
        found.append(Finding("hold", Level.REFUSAL, said))
    return found


def check_disk(plan: Plan, home: Home, settings: Settings) -> Finding:
    """A freeze on a full disk would fail half-way: there must be room for all that it may have to read."""
    free = shutil.disk_usage(home.root).free
    wanted = settings.disk_room_bytes
    if plan.reference is None and free < wanted + _most_to_read(plan, home):
        wanted += _to_read(plan, home)
    if free >= wanted:
        return Finding("disk", Level.OK, f"{free / 1e9:.1f} GB are free.")
    return Finding(
        "disk",
        Level.REFUSAL,
        f"Only {free / 1e9:.1f} GB are free in {home.root}, {wanted / 1e9:.1f} GB are "
        "wanted: remove old snapshots or outputs.",
    )


def check_memory(plan: Plan, home: Home, way: Way | None) -> Finding:
    """Beside the old instances, new ones need what these use: a guess, so never more than a warning."""
    largest = max(_memory_of_instances(home), default=0)
    at_once = 0 if way is None or way.rotation is Rotation.IN_PLACE else plan.needed
    free = psutil.virtual_memory().available
    if largest * at_once <= free:
        return Finding("memory", Level.OK, f"{free / 1e9:.1f} GB of memory are available.")
    return Finding(
        "memory",
        Level.WARNING,
        f"{at_once} more instances like those that run would use {largest * at_once / 1e9:.1f} GB, "
        f"{free / 1e9:.1f} GB of memory are available: expect swapping or an instance killed for memory. "
        "Set `rotation` to in-place, or free memory.",
    )


def _told(plan: Plan, room: int) -> str:
    if not plan.old_instances:
        return "Nothing serves yet."
    if room > 1:
        return "Instances are replaced one at a time."
    return f"The gateway holds calls, up to {plan.hold_seconds:g} s, while the one instance is replaced."


def _no_slots(plan: Plan) -> str:
    holders = ", ".join(sorted(plan.taken_by.values())) or "nobody"
    said = (
        f"The new side needs {plan.needed} free slots beside the old one, but {plan.free} of {plan.slots} "
        f"are free (taken by {holders}). "
    )
    if plan.rotation == "surge" and plan.free + plan.old_instances >= plan.needed:
        return said + "Set `rotation` to auto to replace the instances in place."
    return said + "Stop a service, ask for fewer instances, or raise the setting `slots`."


def _most_to_read(plan: Plan, home: Home) -> float:
    """An upper bound that costs nothing: everything again. Without a snapshot only a walk can say."""
    known = list_snapshots(home.project(plan.project).snapshots)
    return known[-1].size_bytes if known else float("inf")


def _to_read(plan: Plan, home: Home) -> int:
    """Bytes of the files that changed since the last snapshot; of all of them when there is none."""
    known = list_snapshots(home.project(plan.project).snapshots)
    since = known[-1].created_at.timestamp() if known else 0.0
    workstation = home.project(plan.project).workstation.root
    return sum(
        stat.st_size
        for name in FROZEN_FOLDERS
        for stat in _stats(workstation / name)
        if max(stat.st_mtime, stat.st_ctime) >= since
    )


def _stats(root: Path) -> Iterator[os.stat_result]:
    for folder, _, names in os.walk(root):
        for name in names:
            try:
                yield Path(folder, name).lstat()
            except FileNotFoundError:
                continue  # it left while we looked; the freeze looks for itself


def _memory_of_instances(home: Home) -> Iterator[int]:
    """What each running instance's processes use now."""
    folders = sorted(home.instances.iterdir()) if home.instances.is_dir() else []
    for folder in folders:
        try:
            state = read_state(InstanceFolder(folder))
            if state is None or state.engine is None or not state.engine.alive:
                continue
            process = psutil.Process(state.engine.pid)
            family = [process, *process.children(recursive=True)]
            yield sum(one.memory_info().rss for one in family)
        except (ValueError, psutil.Error):
            continue  # it ends just now, or cannot be read: others tell the size as well
