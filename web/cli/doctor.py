"""`stillframe doctor`, `version`, `exit-codes`: what this machine offers, what this program is."""

from __future__ import annotations

import typer

from web.cli.options import HomeOption, JsonOption


def add_to(parent: typer.Typer) -> None:
    parent.command("doctor")(doctor)
    parent.command("version")(version)
    parent.command("exit-codes")(exit_codes)


def doctor(home: HomeOption = None, as_json: JsonOption = False) -> None:
    """Tell what this machine offers, and what each lack means.

    Exit code 8 when something needed is missing.
    """
    import os

    from web.cli.output import table
    from web.doctor import examine
    from web.settings import home_path
    from web.verdicts import NOT_RUNNING

    found = examine(home_path(home, os.environ))
    rows = [(one.name, one.state, one.sentence) for one in found]
    table(found, ("WHAT", "STATE", "MEANS"), rows, as_json=as_json, none="Nothing was examined.")
    if any(one.state == "missing" for one in found):
        raise typer.Exit(NOT_RUNNING)


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
