"""`stillframe doctor`, `version`, `exit-codes`: what this machine offers, what this program is."""

from __future__ import annotations

from typing import Annotated

import typer

from web.cli.options import HomeOption, JsonOption


def add_to(parent: typer.Typer) -> None:
    parent.command("doctor")(doctor)
    parent.command("version")(version)
    parent.command("exit-codes")(exit_codes)


RepairOption = Annotated[
    bool, typer.Option("--repair", help="Undo half-done changes and remove what killed processes left first.")
]


def doctor(repair: RepairOption = False, home: HomeOption = None, as_json: JsonOption = False) -> None:
    """Tell what this machine offers, what each lack means, and what killed processes left.

    Exit code 8 when something needed is missing, 7 when something is left to clear away.
    """
    import os
    import sys

    from web import doctor as examination
    from web.cli.output import table
    from web.settings import home_path
    from web.verdicts import FAILED, NOT_RUNNING

    place = home_path(home, os.environ)
    for line in examination.repair(place) if repair else ():
        sys.stderr.write(f"cleared away: {line}\n")
    found = examination.examine(place)
    rows = [(one.name, one.state, one.sentence) for one in found]
    table(found, ("WHAT", "STATE", "MEANS"), rows, as_json=as_json, none="Nothing was examined.")
    if any(one.state == "missing" for one in found):
        raise typer.Exit(NOT_RUNNING)
    if any(one.state == "leftover" for one in found):
        raise typer.Exit(FAILED)


def version(as_json: JsonOption = False) -> None:
    """Print the version."""
    from importlib.metadata import version as installed

    from web.cli.output import show

    found = installed("stillframe")
    show({"version": found}, f"stillframe {found}", as_json=as_json)


def exit_codes(as_json: JsonOption = False) -> None:
    """Print what each exit code means."""
    from web.cli.output import table
    from web.verdicts import EXIT_CODES

    table(dict(EXIT_CODES), ("CODE", "MEANS"), list(EXIT_CODES.items()), as_json=as_json, none="")
