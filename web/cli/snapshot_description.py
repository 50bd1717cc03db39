"""What `stillframe snapshot show` and `stillframe snapshot diff` print."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from snapshotter.describe.description import SnapshotDescription

SHOWN_PACKAGES = 60
SHOWN_NODES = 3
# What people look for first in a base; the rest is counted.
_TOLD_OF_BASE = ("torch", "diffusers", "transformers", "accelerate", "xformers", "numpy")


def show_snapshot(project: str, reference: str, home: Path | None, *, as_json: bool) -> None:
    """Print one snapshot: header, plugins, packages, engine, cache, models and machine."""
    from web.cli.opening import opened
    from web.cli.output import show
    from web.snapshots import described_snapshot

    found = described_snapshot(opened(home), project, reference)
    if as_json:
        show(found, as_json=True)
        return
    for line in _header(found):
        typer.echo(line)
    for title, columns, rows in (_components(found), _plugins(found), _packages(found)):
        _section(title, columns, rows)
    for title, columns, rows in (_cache(found), _models(found)):
        _section(title, columns, rows)
    for line in (*_machine(found), *found.snapshot.facts.get("problems", ())):
        typer.echo(line)


def show_difference(project: str, old: str, new: str | None, home: Path | None, *, as_json: bool) -> None:
    """Print what differs between two snapshots, or from a snapshot to the workstation as it is now."""
    from web.cli.opening import opened
    from web.cli.output import show
    from web.snapshots import diff_snapshots

    found = diff_snapshots(opened(home), project, old, new)
    show(found, *found.lines(), as_json=as_json)


Section = tuple[str, Sequence[str], list[Sequence[object]]]


def _section(title: str, columns: Sequence[str], rows: list[Sequence[object]]) -> None:
    from web.cli.output import table

    if rows:
        typer.echo(f"\n{title}")
        table(rows, columns, rows, as_json=False, none="")


def _header(found: SnapshotDescription) -> list[str]:
    from web.cli.output import size

    one = found.snapshot
    by = one.facts.get("frozen_by", {})
    who = f" by {by['user']} with stillframe {by.get('stillframe')}" if "user" in by else ""
    held = f"{one.files} files, {size(one.size_bytes)}"
    if found.parent is not None and found.new_bytes is not None:
        share = f" ({found.new_share:.1%})" if found.new_share is not None else ""
        held += f"; {size(found.new_bytes)}{share} that snapshot {found.parent.number} had not"
    elif one.parent is not None:
        held += f"; its parent {one.parent[:12]} is no longer there to compare with"
    lines = [
        f"Snapshot {one.number} of {one.project}  {one.id}",
        f"frozen {one.created_at:%Y-%m-%d %H:%M:%SZ}{who} from {one.workstation}",
        held,
    ]
    engine = found.facts("engine")
    if engine:
        commit = f" at {engine['commit'][:12]}" if engine.get("commit") else ""
        lines.append(f"engine {engine.get('kind')} {engine.get('version') or 'of unknown version'}{commit}")
    base = found.facts("base")
    if base:
        lines.append(_base(base))
    return lines


def _base(base: Mapping[str, Any]) -> str:
    packages = {package["name"]: package["version"] for package in base.get("packages", ())}
    told = [f"{name} {packages[name]}" for name in _TOLD_OF_BASE if name in packages]
    python = base.get("python", {}).get("version", "of unknown version")
    among = f", among them {', '.join(told)}" if told else ""
    return f"base {base.get('name')}: Python {python}, {len(packages)} packages{among}"


def _components(found: SnapshotDescription) -> Section:
    from web.cli.output import size

    rows = [
        (part.kind, part.name, part.files, size(part.size_bytes), part.tree[:12])
        for part in found.snapshot.components
    ]
    return "Components", ("KIND", "COMPONENT", "FILES", "SIZE", "TREE"), [*rows]


def _plugins(found: SnapshotDescription) -> Section:
    rows = [_plugin(part.name, part.facts) for part in found.parts("plugin")]
    return "Plugins", ("PLUGIN", "VERSION", "COMMIT", "BRANCH", "EDITS", "NODES", "FROM"), [*rows]


def _plugin(name: str, facts: Mapping[str, Any]) -> Sequence[object]:
    nodes: Sequence[str] = facts.get("nodes", ())
    more = f" and {len(nodes) - SHOWN_NODES} more" if len(nodes) > SHOWN_NODES else ""
    edits = facts.get("edits_total", len(facts.get("edited_files", ())))
    edited = f"{edits} files" if edits else "no" if "local_edits" in facts else None
    return (
        name.removeprefix("custom_nodes/"),
        facts.get("version"),
        facts["commit"][:12] if facts.get("commit") else None,
        facts.get("branch"),
        edited,
        ", ".join(nodes[:SHOWN_NODES]) + more if nodes else None,
        facts.get("problem") or facts.get("remote") or facts.get("kind"),
    )


def _packages(found: SnapshotDescription) -> Section:
    packages = found.facts("dependencies").get("packages", [])
    rows: list[Sequence[object]] = [
        (package["name"], package["version"], package["record"][:12] or None)
        for package in packages[:SHOWN_PACKAGES]
    ]
    if len(packages) > SHOWN_PACKAGES:
        rows.append((f"and {len(packages) - SHOWN_PACKAGES} more (--json)", "", ""))
    return "Packages of the workstation's own environment", ("PACKAGE", "VERSION", "RECORD"), rows


def _cache(found: SnapshotDescription) -> Section:
    from web.cli.output import size

    rows = [
        (
            entry.get("repository") or entry["name"],
            entry["kind"],
            ", ".join(revision[:12] for revision in entry.get("revisions", {}).values()) or None,
            entry["files"],
            size(entry["size_bytes"]),
        )
        for entry in found.facts("cache").get("entries", ())
    ]
    return "Cache", ("ENTRY", "KIND", "REVISION", "FILES", "SIZE"), [*rows]


def _models(found: SnapshotDescription) -> Section:
    from web.cli.output import size

    rows = [
        (
            model["kind"],
            model["name"],
            "missing" if model["size_bytes"] is None else size(model["size_bytes"]),
            model["digest"].removeprefix("blake3:")[:12] if model["digest"] else None,
            ", ".join(model["workflows"]),
        )
        for model in found.models
    ]
    title = "Models that its workflows name (shared, not in the snapshot)"
    return title, ("KIND", "MODEL", "SIZE", "DIGEST", "NAMED IN"), [*rows]


def _machine(found: SnapshotDescription) -> list[str]:
    from web.cli.output import size

    machine = found.snapshot.facts.get("machine")
    if not machine:
        return []
    system, nvidia = machine["platform"], machine["nvidia"]
    gpus = [f"{gpu['name']} ({gpu['memory.total']} MiB)" for gpu in nvidia["gpus"]]
    drivers = {gpu["driver_version"] for gpu in nvidia["gpus"]}
    cuda = f", CUDA {nvidia['cuda']}" if nvidia.get("cuda") else ""
    driver = f"; driver {', '.join(sorted(drivers))}{cuda}" if drivers else ""
    lines = [
        f"\nFrozen on {machine.get('name') or 'a machine'}: {system['system']} {system['release']} "
        f"{system['machine']}, {system['libc']}, {machine['processor']['cores']} cores, "
        f"{size(machine['memory_bytes'])}",
        f"GPUs: {', '.join(gpus) or 'none'}{driver}",
    ]
    return [*lines, *([f"GPUs: {nvidia['problem']}"] if nvidia.get("problem") else ())]
