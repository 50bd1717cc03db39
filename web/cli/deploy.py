"""`stillframe deploy`: freeze the workstation and roll it out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from web.cli.options import HomeOption, JsonOption, ProjectArgument


def add_to(parent: typer.Typer) -> None:
    parent.command("deploy")(deploy)


def deploy(
    project: ProjectArgument,
    smoke: Annotated[
        Path | None,
        typer.Option(
            help="A workflow (API format) that must give a result before the switch; kept for later."
        ),
    ] = None,
    note: Annotated[str, typer.Option(help="Why, for the history.")] = "",
    snapshot: Annotated[
        str | None, typer.Option(help="An existing snapshot instead of a new one: number, id or latest.")
    ] = None,
    accept: Annotated[
        list[str] | None,
        typer.Option(help="A finding to go on in spite of, by its name in the checks; may be repeated."),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only the checks; nothing is changed.")] = False,
    wait: Annotated[bool, typer.Option("--wait/--no-wait", help="Follow it until it ends.")] = True,
    limit: Annotated[float, typer.Option(help="How long to follow it, in seconds.")] = 7200.0,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Deploy Online Service: freeze, prove, rotate.

    The old snapshot serves until the new one has proved itself.
    """
    from web.cli.door import Door
    from web.cli.opening import known_project, opened, read_workflow
    from web.cli.progress import follow

    here = opened(home)
    known_project(here, project)
    workflow = None if smoke is None else read_workflow(smoke).prompt
    wanted = {"note": note, "snapshot": snapshot, "smoke_workflow": workflow, "accept": accept or []}
    requested = Door(here, "a deployment").post(
        f"/projects/{project}/deployments", {**wanted, "dry_run": dry_run}
    )
    if dry_run:
        tell_findings(requested["findings"] or (), as_json=as_json)
        return
    follow(here, project, requested, wait=wait, limit_seconds=limit, as_json=as_json)


def tell_findings(findings: Sequence[Mapping[str, Any]], *, as_json: bool) -> None:
    """The findings of a dry run; exit code 6 when one refuses."""
    from web.cli.output import table
    from web.verdicts import REFUSED

    rows = [(one["name"], one["level"], one["sentence"]) for one in findings]
    table(findings, ("CHECK", "RESULT", "WHAT"), rows, as_json=as_json, none="No check has anything to say.")
    if any(one["level"] == "refusal" for one in findings):
        raise typer.Exit(REFUSED)
