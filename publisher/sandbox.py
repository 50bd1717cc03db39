"""What a deployment's instances will be allowed, and whether this machine can hold them to it. Findings."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from online_runtime.instance.layer import Layer
from online_runtime.instance.private_network import OPEN
from online_runtime.instance.spec import InstanceFolder, InstanceSpec, Mount
from publisher.deployment import Finding, Level
from publisher.room import Plan
from workstation.layout import Home, Workstation

TRIAL_LIMIT_SECONDS = 20.0  # it takes a tenth of a second
NAMED_AT_MOST = 5  # a sentence, not a catalogue


def check_secrets(plan: Plan) -> Finding:
    """A lost key is told before anything is started."""
    if not plan.secret_problems:
        return Finding("secrets", Level.OK, "Every secret that the configuration names can be opened.")
    return Finding("secrets", Level.REFUSAL, " ".join(plan.secret_problems))


def check_network(plan: Plan, home: Home) -> Finding:
    """Whether the network can be closed as the configuration says."""
    if plan.network == OPEN:
        return Finding("network", Level.OK, "Instances may reach the network: plugins can download.")
    reason = network_refusal(home)
    if not reason:
        return Finding("network", Level.OK, f"Instances have a network of their own ({plan.network}).")
    return Finding(
        "network",
        Level.REFUSAL,
        f"The configuration says network {plan.network}, which this machine cannot do: {reason} Instances "
        "would have the open network. Allow namespaces on this machine, or accept `network`.",
    )


def network_refusal(home: Home) -> str:
    """Why an instance here cannot be cut off the network; empty when it can be."""
    home.instances.mkdir(parents=True, exist_ok=True)
    command = (sys.executable, "-m", "online_runtime.instance.isolation", str(home.instances))
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=TRIAL_LIMIT_SECONDS, check=True
        )
        return str(json.loads(done.stdout)["network_reason"])
    except (subprocess.SubprocessError, ValueError, KeyError) as problem:
        return f"the trial failed ({problem})."


def check_downloads(plan: Plan, home: Home) -> Finding:
    """What plugins of running instances downloaded at first use: it is in no snapshot, so each new instance
    downloads it again, or fails where the network is closed.
    """
    found = sorted(set(_downloaded(plan.project, home)))
    if not found:
        return Finding("downloads", Level.OK, "No running instance has added to its cache.")
    more = f" and {len(found) - NAMED_AT_MOST} more" if len(found) > NAMED_AT_MOST else ""
    cost = "each new instance downloads them again"
    if plan.network != OPEN:
        cost = f"with network {plan.network} what needs them will fail"
    return Finding(
        "downloads",
        Level.WARNING,
        f"Instances added to their cache at first use: {', '.join(found[:NAMED_AT_MOST])}{more}; {cost}. Run "
        "what needs them once in the workstation, so that they are frozen.",
    )


def _downloaded(project: str, home: Home) -> Iterator[str]:
    """Entries of caches, two levels deep, as `hub/models--x--y`, that only a layer has."""
    for file in home.instances.glob("*/spec.json"):
        try:
            spec = InstanceSpec.from_json(file.read_text(encoding="utf-8"))
        except (FileNotFoundError, ValueError, KeyError, TypeError):
            continue  # it is being reaped, or its own agent says what is wrong with it
        if spec.service != project:
            continue
        cache = Workstation(Path(spec.workstation)).cache
        for mount in spec.mounts:
            if Path(mount.place) == cache:
                yield from _added(InstanceFolder(file.parent), mount)


def _added(folder: InstanceFolder, mount: Mount) -> Iterator[str]:
    changes = Layer(folder.layer).changes(mount)
    for area in _names(changes):
        for entry in _names(changes / area) or [""]:
            frozen = Path(mount.source, area, entry)
            if (
                not entry.startswith((".", "tmp"))
                and not frozen.exists()
                and _has_bytes(changes / area / entry)
            ):
                yield f"{area}/{entry}".rstrip("/")


def _names(folder: Path) -> list[str]:
    try:
        return sorted(entry.name for entry in folder.iterdir())
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        return []


def _has_bytes(path: Path) -> bool:
    """Whether a file with content is there; a deletion in an overlay's layer is a device, not a file."""
    if path.is_file():
        return path.stat().st_size > 0
    return any(file.is_file() and file.stat().st_size > 0 for file in path.rglob("*"))


def unprotected(network: str, isolations: Iterable[str | None]) -> tuple[str, ...]:
    """What running instances are not kept from, each in a sentence; `isolations` as they reported. Pure."""
    said = []
    known = [one for one in isolations if one]
    if any(not one.startswith("namespace") for one in known):
        said.append(
            "Instances see the whole machine as this user does, this platform's files too: no namespace can "
            "be had here (stillframe doctor says why)."
        )
    if network != OPEN and any(not one.endswith(f"+{network}") for one in known):
        said.append(f"The network is open although the configuration says {network}.")
    return tuple(said)
