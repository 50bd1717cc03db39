"""`stillframe workstation`: the workstation's engine, and workflows on it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from web.cli.options import HomeOption, JsonOption, ProjectArgument, noun

if TYPE_CHECKING:
    from workstation.process import WorkstationState

app = noun("workstation", "The workstation's engine: start, stop, log, run workflows.")
READY_LIMIT_SECONDS = 900.0  # as long as an instance may take: plugins import slowly on a cold disk


def add_to(parent: typer.Typer) -> None:
    parent.add_typer(app)


@app.command("start")
def start(
    project: ProjectArgument,
    port: Annotated[int | None, typer.Option(help="Port of the engine; else a free one.")] = None,
    cpu: Annotated[
        bool | None, typer.Option("--cpu/--gpu", help="Run without a GPU; else as the machine has one.")
    ] = None,
    wait: Annotated[bool, typer.Option("--wait/--no-wait", help="Wait until the engine answers.")] = True,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Start the engine. It goes on running when this command ends."""
    from web.cli.opening import known_project, opened
    from web.cli.output import show
    from workstation.process import start_workstation, wait_until_ready

    place = known_project(opened(home), project)
    state = start_workstation(place, port=port, cpu=cpu)
    if wait:
        state = wait_until_ready(place, READY_LIMIT_SECONDS)
    show(state, *_lines(project, state), as_json=as_json)


@app.command("stop")
def stop(project: ProjectArgument, home: HomeOption = None, as_json: JsonOption = False) -> None:
    """Stop the engine."""
    from web.cli.opening import known_project, opened
    from web.cli.output import show
    from workstation.process import stop_workstation

    place = known_project(opened(home), project)
    state = stop_workstation(place)
    show(state, *_lines(project, state), as_json=as_json)


@app.command("restart")
def restart(project: ProjectArgument, home: HomeOption = None, as_json: JsonOption = False) -> None:
    """Stop the engine and start it again, with what changed in plugins and packages."""
    from web.cli.opening import known_project, opened
    from web.cli.output import show
    from workstation.process import restart_workstation, wait_until_ready

    place = known_project(opened(home), project)
    restart_workstation(place)
    state = wait_until_ready(place, READY_LIMIT_SECONDS)
    show(state, *_lines(project, state), as_json=as_json)


@app.command("status")
def status(
    project: ProjectArgument,
    timings: Annotated[
        bool, typer.Option("--timings", help="What its start spent, by stage and plugin.")
    ] = False,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Tell whether the engine runs, where, and how it ended last."""
    from web.cli.opening import known_project, opened
    from web.cli.output import show
    from workstation.process import workstation_state

    place = known_project(opened(home), project)
    if timings:
        from web.cli.workstation_timings import lines_of, startup_of
        from web.workstations import engine_url

        spent = startup_of(engine_url(place))
        show(spent, *lines_of(spent, project), as_json=as_json)
        return
    state = workstation_state(place)
    show(state, *_lines(project, state), as_json=as_json)


@app.command("log")
def log(
    project: ProjectArgument,
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Go on with new lines until ctrl-C.")
    ] = False,
    lines: Annotated[int, typer.Option(help="How many of the last lines.")] = 100,
    home: HomeOption = None,
) -> None:
    """Print the engine's log."""
    from web.cli.opening import known_project, opened
    from web.workstations import log_lines

    for line in log_lines(known_project(opened(home), project), lines=lines, follow=follow):
        typer.echo(line)


@app.command("url")
def url(project: ProjectArgument, home: HomeOption = None, as_json: JsonOption = False) -> None:
    """Print the engine's address."""
    from web.cli.opening import known_project, opened
    from web.cli.output import show
    from web.workstations import engine_url

    found = engine_url(known_project(opened(home), project))
    show({"url": found}, found, as_json=as_json)


@app.command("open")
def open_editor(
    project: ProjectArgument,
    browser: Annotated[
        bool, typer.Option("--browser/--no-browser", help="Open it, or print the address only.")
    ] = True,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Print the address of the project's graph editor and open it in the browser. `up` must run."""
    from web.cli.opening import opened
    from web.cli.output import show
    from web.workflows import editor_url

    found = editor_url(opened(home), project)
    show({"url": found}, found, as_json=as_json)
    if browser and not as_json:
        typer.launch(found)


@app.command("run")
def run(
    project: ProjectArgument,
    workflow: Annotated[Path, typer.Argument(help="A workflow in API format.")],
    save: Annotated[Path, typer.Option(help="Where the outputs are saved.", file_okay=False)] = Path(),
    limit: Annotated[float, typer.Option(help="How long to wait for the result, in seconds.")] = 3600.0,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Run a workflow on the workstation and save what it makes."""
    from web.cli.opening import known_project, opened, read_workflow
    from web.cli.results import finish
    from web.workstations import caller_for

    here = opened(home)
    place, read = known_project(here, project), read_workflow(workflow)
    caller = caller_for(here.home, place, read)
    finish(caller, caller.run(read.prompt, limit_seconds=limit), save, as_json=as_json)


def _lines(project: str, state: WorkstationState) -> list[str]:
    lines = [f"Workstation {project} is {state.status.value}" + (f" at {state.url}" if state.url else "")]
    if state.restarts:
        lines.append(f"It was restarted {state.restarts} times.")
    if state.last_exit is not None:
        lines.append(f"Its last exit: {state.last_exit.sentence}")
    return lines
