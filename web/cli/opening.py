"""Where a command begins: the home it works on, who runs it, and the files named on its line."""

from __future__ import annotations

import getpass
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from web.errors import FileUnreadable
from web.installation import Installation, open_installation

if TYPE_CHECKING:
    from workstation.layout import Project
    from workstation.workflows import Workflow

SOURCE = "CLI"


def opened(home: Path | None, *, make: bool = False) -> Installation:
    """The installation that a command works on; `make` lets it make a home that is not there yet."""
    return open_installation(home, os.environ, make=make)


def known_project(here: Installation, name: str) -> Project:
    """Raises ProjectNotFound, naming the projects that exist."""
    from workstation.project import read_project

    return read_project(here.home, name)[0]


def caller() -> str:
    """Who runs the command: the operating system's user."""
    return getpass.getuser()


def read_workflow(path: Path) -> Workflow:
    """A workflow file in API format. Raises FileUnreadable and what parse_workflow raises."""
    from workstation.workflows import parse_workflow

    return parse_workflow(read_file(path))


def read_file(path: Path) -> bytes:
    """Raises FileUnreadable."""
    try:
        return path.read_bytes()
    except OSError as problem:
        raise FileUnreadable(path, problem.strerror or str(problem)) from problem


def read_document(path: Path) -> dict[str, Any]:
    """A file that holds a JSON object. Raises FileUnreadable, NotJson."""
    import json

    from workstation.errors import NotJson

    try:
        found = json.loads(read_file(path))
    except (ValueError, RecursionError) as problem:
        raise NotJson(str(problem)) from problem
    if not isinstance(found, dict):
        raise NotJson("it is no JSON object")
    return found


def write_file(path: Path, text: str) -> None:
    """Write a file that was named on the command line. Raises FileUnreadable."""
    try:
        path.write_text(text + "\n", encoding="utf-8")
    except OSError as problem:
        raise FileUnreadable(path, problem.strerror or str(problem)) from problem


def pairs(texts: list[str], what: str) -> Mapping[str, Any]:
    """`name=value` texts as a mapping; a value is read as JSON where it is JSON. Raises RequestRefused."""
    import json

    from web.errors import RequestRefused

    found: dict[str, Any] = {}
    for text in texts:
        name, separator, value = text.partition("=")
        if not separator or not name:
            raise RequestRefused(f"{what} wants NAME=VALUE", [f"got {text!r}"])
        try:
            found[name] = json.loads(value)
        except ValueError:
            found[name] = value
    return found
