"""`stillframe service overview`, `usage` and `resume`: what the fleet does by itself, and what it cost."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from web.cli.options import HomeOption, JsonOption, ProjectArgument

if TYPE_CHECKING:
    from publisher.usage import Overview

HoursOption = Annotated[float, typer.Option(help="How far back to look, in hours.", min=0.01, max=87_600)]
DaysOption = Annotated[int, typer.Option(help="How many days, today included.", min=1, max=3660)]


def add_to(parent: typer.Typer) -> None:
    parent.command("overview")(overview)
    parent.command("usage")(usage)
    parent.command("resume")(resume)


def overview(
    project: ProjectArgument, hours: HoursOption = 24.0, home: HomeOption = None, as_json: JsonOption = False
) -> None:
    """Show how many instances were wanted, ran and took calls over time, and why."""
    from datetime import UTC, datetime, timedelta

    from web.cli.opening import opened
    from web.cli.output import cell, show

    found = opened(home).publisher.overview(project, datetime.now(UTC) - timedelta(hours=hours))
    lines = [f"{name:<15} {value}" for name, value in _summary(found)]
    for size in found.sizes:
        numbers = f"wanted {size.wanted}  running {size.running}  accepting {size.accepting}"
        lines.append(f"{cell(size.at)}  {numbers}  {size.reason}")
    show(found, *lines, as_json=as_json)


def usage(
    project: ProjectArgument, days: DaysOption = 7, home: HomeOption = None, as_json: JsonOption = False
) -> None:
    """Show instance time, jobs and inference time of each day (UTC)."""
    from datetime import UTC, datetime, timedelta

    from web.cli.opening import opened
    from web.cli.output import table

    today = datetime.now(UTC).date()
    found = opened(home).publisher.usage(project, today - timedelta(days=days - 1), today)
    rows = [
        (
            one.day,
            f"{one.instance_seconds / 3600:.2f}",
            one.jobs,
            one.jobs_failed,
            f"{one.inference_seconds:.1f}",
        )
        for one in found
    ]
    columns = ("DAY", "INSTANCE HOURS", "JOBS", "FAILED", "INFERENCE SECONDS")
    table(found, columns, rows, as_json=as_json, none="No days.")


def resume(project: ProjectArgument, home: HomeOption = None, as_json: JsonOption = False) -> None:
    """Start instances again after a crash loop has halted the service."""
    from web.cli.opening import opened
    from web.cli.output import show

    here = opened(home)
    here.publisher.service(project)
    here.require_running("resuming a service")
    here.publisher.resume_service(project)
    show({"resumed": project}, f"Service {project} starts instances again.", as_json=as_json)


def _summary(found: Overview) -> list[tuple[str, str]]:
    halt = found.fleet.halt
    return [
        ("service", found.service),
        ("bounds", f"{found.minimum} to {found.maximum} instances now"),
        ("wanted", f"{found.wanted}: {found.reason}"),
        ("actual", f"{found.running} run, {found.accepting} take calls"),
        ("deployments", f"{found.deployments}, {found.deployments_succeeded} of them succeeded"),
        *([("halted", halt.why)] if halt else []),
        *([("problem", found.fleet.problem)] if found.fleet.problem else []),
    ]
