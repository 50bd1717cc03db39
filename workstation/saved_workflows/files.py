"""The workflows of one workstation as files: what the editor lists, by the same names."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import Any

from workstation.atomic import write_text
from workstation.errors import NotJson
from workstation.layout import Workstation
from workstation.saved_workflows.errors import BadWorkflowName, WorkflowNotFound

SUFFIX = ".json"


@dataclass(frozen=True)
class SavedWorkflow:
    """One file. `format` is `editor` or `api`, or None when the file is not a workflow."""

    name: str
    format: str | None
    nodes: int
    size_bytes: int
    saved_at: datetime


def list_workflows(workstation: Workstation) -> list[SavedWorkflow]:
    """All of them by name; a file that cannot be read as a workflow is listed without a format."""
    return [_described(workstation, name) for name in _names(workstation)]


def read_workflow(workstation: Workstation, name: str) -> dict[str, Any]:
    """The document as it was saved. Raises BadWorkflowName, WorkflowNotFound, NotJson."""
    path = _path(workstation, name)
    if not path.is_file():
        raise WorkflowNotFound(name, _names(workstation))
    return _document(path)


def write_workflow(workstation: Workstation, name: str, document: Mapping[str, Any]) -> None:
    """Save a workflow, over one of the same name. Raises BadWorkflowName."""
    path = _path(workstation, name)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_text(path, json.dumps(document, indent=1))


def is_editor_format(document: Mapping[str, Any]) -> bool:
    """Whether this is what the editor saves, and not what an engine runs."""
    return isinstance(document.get("nodes"), list)


def _names(workstation: Workstation) -> list[str]:
    folder = workstation.workflows
    found = folder.rglob(f"*{SUFFIX}") if folder.is_dir() else ()
    relative = (path.relative_to(folder) for path in found if path.is_file())
    return sorted(
        path.as_posix().removesuffix(SUFFIX)
        for path in relative
        if not any(part.startswith(".") for part in path.parts)
    )


def _described(workstation: Workstation, name: str) -> SavedWorkflow:
    path = _path(workstation, name)
    stat = path.stat()
    try:
        document = _document(path)
    except NotJson:
        document = {}
    editor = is_editor_format(document)
    nodes = document["nodes"] if editor else [one for one in document.values() if _is_node(one)]
    kind = "editor" if editor else "api" if nodes else None
    saved_at = datetime.fromtimestamp(stat.st_mtime, UTC)
    return SavedWorkflow(name, kind, len(nodes), stat.st_size, saved_at)


def _is_node(value: object) -> bool:
    return isinstance(value, dict) and "class_type" in value


def _document(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_bytes())
    except (ValueError, RecursionError) as problem:
        raise NotJson(str(problem)) from problem
    if not isinstance(found, dict):
        raise NotJson("it is no JSON object")
    return found


def _path(workstation: Workstation, name: str) -> Path:
    parts = PurePosixPath(name).parts
    plain = bool(parts) and all(part not in ("/", "..") and not part.startswith(".") for part in parts)
    if not plain or "\0" in name or "\\" in name:
        raise BadWorkflowName(name)
    return workstation.workflows.joinpath(*parts[:-1], parts[-1].removesuffix(SUFFIX) + SUFFIX)
