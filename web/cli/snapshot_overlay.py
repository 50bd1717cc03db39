"""`stillframe snapshot overlay`: whether a workstation lies on sealed folders."""

from __future__ import annotations

from typing import Annotated

import typer

from web.cli.options import HomeOption, JsonOption, ProjectArgument


def add_to(snapshot: typer.Typer) -> None:
    """Add this command to the noun `snapshot`."""
    snapshot.command("overlay")(overlay)


def overlay(
    project: ProjectArgument,
    on: Annotated[
        bool,
        typer.Option("--on", help="Lay the workstation on sealed folders: a freeze seals in milliseconds."),
    ] = False,
    off: Annotated[bool, typer.Option("--off", help="Make it a plain folder again, by a copy.")] = False,
    fold: Annotated[bool, typer.Option("--fold", help="Make one of many sealed folders.")] = False,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Tell how a workstation is frozen, or change it. Needs root, and nobody at work in the workstation."""
    from web.cli.opening import opened
    from web.cli.output import show
    from web.upkeep import OverlayWanted, overlay_workstation

    if on + off + fold > 1:
        raise typer.BadParameter("give one of --on, --off and --fold")
    wanted: OverlayWanted | None = "on" if on else "off" if off else "fold" if fold else None
    mode = overlay_workstation(opened(home), project, wanted)
    show(mode, f"The workstation {project} is frozen by the way {mode}.", as_json=as_json)
