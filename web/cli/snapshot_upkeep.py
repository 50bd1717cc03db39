"""`stillframe snapshot restore | delete | prune | gc | verify`: going back, letting go, staying whole."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from web.cli.options import HomeOption, JsonOption, ProjectArgument, SnapshotArgument, YesOption

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from snapshotter.restore import Restored, RestoreProgress
    from snapshotter.restore_plan import RestorePlan
    from snapshotter.verify import VerifyReport
    from web.installation import Installation

DryRunOption = Annotated[bool, typer.Option("--dry-run", help="Say what would go; remove nothing.")]


def add_to(parent: typer.Typer) -> None:
    """The commands of this file under `stillframe snapshot`."""
    for name, command in (("restore", restore), ("delete", delete), ("prune", prune), ("gc", gc)):
        parent.command(name)(command)


def restore(
    project: ProjectArgument,
    snapshot: SnapshotArgument,
    preview: Annotated[
        bool, typer.Option("--preview", help="Say what would change; change nothing.")
    ] = False,
    yes: YesOption = False,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Put a snapshot back into the workstation. The state before is kept as a snapshot first."""
    from web.cli.opening import opened
    from web.cli.output import confirm, show
    from web.upkeep import plan_restore, planned_facts, restored_facts

    here = opened(home)
    plan = plan_restore(here, project, snapshot)
    if preview:
        _show_plan(plan, as_json=as_json)
        return
    if not as_json:
        _show_plan(plan, as_json=False)
    confirm(f"Replace this in the workstation {project} by snapshot {plan.snapshot}?", yes=yes)
    done = _restore(here, project, snapshot, quiet=as_json)
    facts = {**restored_facts(done), "plan": planned_facts(plan)}
    show(facts, *_said(project, done), as_json=as_json)


def _show_plan(plan: RestorePlan, *, as_json: bool) -> None:
    from web.cli.output import show, size, table
    from web.upkeep import planned_facts

    if as_json:
        show(planned_facts(plan), as_json=True)
        return
    rows = [
        (part.change, part.name, part.added, part.removed, part.changed, size(part.size_bytes))
        for part in plan.components
    ]
    columns = ("CHANGE", "COMPONENT", "PATHS ADDED", "REMOVED", "CHANGED", "WRITTEN")
    table(plan, columns, rows, as_json=False, none=f"The workstation is as snapshot {plan.snapshot} already.")
    for package in plan.packages:
        typer.echo(f"package {package.name}: {package.now or 'not installed'} -> {package.then or 'removed'}")
    for line in (*([str(plan.base)] if plan.base else []), *plan.notes):
        typer.echo(line)


def _restore(here: Installation, project: str, snapshot: str, *, quiet: bool) -> Restored:
    import sys

    from web.cli.output import console, size
    from web.upkeep import restore_snapshot

    if quiet or not sys.stdout.isatty():
        return restore_snapshot(here, project, snapshot)
    with console().status("keeping the present state") as status:

        def told(now: RestoreProgress) -> None:
            files = f"{now.files_done} of {now.files_total} files, {size(now.bytes_done)}"
            status.update({"keep": "keeping the present state", "swap": "swapping"}.get(now.phase, files))

        return restore_snapshot(here, project, snapshot, told)


def _said(project: str, done: Restored) -> list[str]:
    if not done.components:
        return [
            f"The workstation {project} holds snapshot {done.snapshot.number} already: nothing was changed."
        ]
    lines = [
        f"The workstation {project} holds snapshot {done.snapshot.number} again "
        f"({len(done.components)} components replaced).",
        f"The state before is snapshot {done.kept.number}: "
        f"stillframe snapshot restore {project} {done.kept.number}",
    ]
    return [*lines, *([str(done.base)] if done.base and not done.base.same else [])]


def delete(
    project: ProjectArgument,
    snapshot: SnapshotArgument,
    yes: YesOption = False,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Delete a snapshot that nothing needs. Its number is never used again."""
    from web.cli.opening import opened
    from web.cli.output import confirm, show
    from web.snapshots import found_snapshot
    from web.upkeep import delete_snapshot

    here = opened(home)
    one = found_snapshot(here, project, snapshot)
    confirm(f"Delete snapshot {one.folder_name} of {project}?", yes=yes)
    gone = delete_snapshot(here, project, one.folder_name)
    said = f"Snapshot {gone.folder_name} is deleted. Its room is freed by: stillframe snapshot gc"
    show({"deleted": {"number": gone.number, "id": gone.id}}, said, as_json=as_json)


def prune(
    project: ProjectArgument,
    keep_last: Annotated[int, typer.Option("--keep-last", min=0, help="Keep the newest so many.")] = 10,
    keep_days: Annotated[
        float | None, typer.Option("--keep-days", min=0, help="Keep all younger than so many days too.")
    ] = None,
    dry_run: DryRunOption = False,
    yes: YesOption = False,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Delete the snapshots that nothing needs and this policy lets go."""
    from snapshotter.retention import Policy
    from web.cli.opening import opened
    from web.cli.output import confirm, table
    from web.upkeep import prune_snapshots, verdict_facts

    here, policy = opened(home), Policy(keep_last, keep_days)
    verdicts = prune_snapshots(here, project, policy, dry_run=True)
    going = sum(not verdict.stays for verdict in verdicts)
    if going and not dry_run:
        confirm(f"Delete {going} of {len(verdicts)} snapshots of {project}?", yes=yes)
        verdicts = prune_snapshots(here, project, policy)
    word = "would go" if dry_run else "deleted"
    rows = [
        (
            one.snapshot.number,
            one.snapshot.short_id,
            one.snapshot.created_at,
            _fate(one.stays, word),
            one.reason,
        )
        for one in verdicts
    ]
    columns = ("NUMBER", "ID", "CREATED", "FATE", "BECAUSE")
    none = f"No snapshots yet: stillframe deploy {project}"
    table([verdict_facts(one) for one in verdicts], columns, rows, as_json=as_json, none=none)
    if not as_json and going and not dry_run:
        typer.echo("Their room is freed by: stillframe snapshot gc")


def _fate(stays: bool, word: str) -> str:
    return "stays" if stays else word


def gc(
    dry_run: DryRunOption = False,
    minimum_age: Annotated[
        float, typer.Option("--min-age", min=0, help="Leave what is younger than so many minutes.")
    ] = 15.0,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Remove from the store what no snapshot of any project needs. Waits for freezes that run."""
    from web.cli.opening import opened
    from web.cli.output import show, size
    from web.upkeep import collect_garbage

    done = collect_garbage(opened(home), dry_run=dry_run, minimum_age_seconds=minimum_age * 60)
    word = "Would free" if dry_run else "Freed"
    said = (
        f"{word} {size(done.freed_bytes)}: {done.objects} objects, {done.trees} directory records, "
        f"{done.views} views, {done.leftovers} leftovers ({done.seconds:.1f} s). "
        f"{done.kept_objects} objects are needed."
    )
    young = f"{size(done.young_bytes)} are unneeded but younger than {minimum_age:g} minutes: left for later."
    show(done, said, *([young] if done.young_bytes else []), as_json=as_json)


def verify_snapshots(
    project: str | None, reference: str | None, home: Path | None, *, heal: bool, as_json: bool
) -> None:
    """The command `verify`: one snapshot, or all when `reference` is None."""
    from web.cli.opening import opened
    from web.cli.output import show
    from web.upkeep import heal_snapshots, verify_chosen
    from web.verdicts import DAMAGED

    here = opened(home)
    if heal:
        healed = heal_snapshots(here, project, reference)
        report, given = healed.after, list(healed.healed)
        users = healed.used_by
    else:
        report, given = verify_chosen(here, project, reference), []
        users = {damage.object: damage.snapshots for damage in report.damages}
    answer = {
        "snapshots": report.snapshots,
        "ok": report.ok,
        "damaged": report.damages,
        "healed": given,
        "used_by": users,
        "report": report,
    }
    show(answer, *_verified(report, given, users), as_json=as_json)
    if not report.ok:
        raise typer.Exit(DAMAGED)


def _verified(
    report: VerifyReport, given: Sequence[str], users: Mapping[str, Sequence[str]]
) -> Iterator[str]:
    if given:
        yield f"healed: {len(given)} objects and directory records"
    for damage in report.damages:
        used = ", ".join(users.get(damage.object, damage.snapshots))
        yield f"damaged: {damage}; used by {used}"
    if report.ok:
        several = f"All {len(report.snapshots)} snapshots are whole."
        one = f"Snapshot {report.snapshots[0].partition('-')[0]} is whole." if report.snapshots else several
        yield one if len(report.snapshots) == 1 else several
