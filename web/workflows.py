"""Use cases over saved workflows that both doors offer."""

from __future__ import annotations

import contextlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from web.calls import Caller
from web.installation import Installation
from web.workstations import engine_url

if TYPE_CHECKING:
    from workstation.layout import Project
    from workstation.saved_workflows.files import SavedWorkflow


@dataclass(frozen=True)
class TemplateView:
    """A template of the editor's gallery."""

    name: str
    title: str
    description: str
    models: tuple[str, ...]


def saved_workflows(here: Installation, project: str) -> list[SavedWorkflow]:
    """What the editor of this project lists."""
    from workstation.saved_workflows.files import list_workflows

    return list_workflows(_project(here, project).workstation)


def saved_document(here: Installation, project: str, name: str) -> dict[str, Any]:
    """A workflow as it was saved. Raises WorkflowNotFound, BadWorkflowName."""
    from workstation.saved_workflows.files import read_workflow

    return read_workflow(_project(here, project).workstation, name)


def exported(here: Installation, project: str, name: str) -> dict[str, Any]:
    """A saved workflow in API format, by what the running engine says of its nodes.

    Raises WorkflowNotFound, NotExportable, and WorkstationNotRunning for one in the editor's format.
    """
    from workstation.saved_workflows.api_format import to_api_format
    from workstation.saved_workflows.files import is_editor_format

    place = _project(here, project)
    document = saved_document(here, project, name)
    if not is_editor_format(document):
        return document
    return to_api_format(document, Caller(engine_url(place)).object_info())


def save_document(here: Installation, project: str, name: str, document: dict[str, Any]) -> None:
    """Save a workflow of either format. Raises BadWorkflowName, EmptyWorkflow."""
    from workstation.errors import UiFormatWorkflow
    from workstation.saved_workflows.files import write_workflow
    from workstation.workflows import parse_workflow

    with contextlib.suppress(UiFormatWorkflow):  # the editor's own format is what this folder is for
        parse_workflow(json.dumps(document))
    write_workflow(_project(here, project).workstation, name, document)


def workflow_templates() -> list[TemplateView]:
    """The templates of the editor's gallery for engines that bring none."""
    from web.editor.templates import TEMPLATES

    return [TemplateView(one.name, one.title, one.description, one.models) for one in TEMPLATES]


def template_document(name: str) -> dict[str, Any]:
    """A template as the editor opens it. Raises TemplateNotFound."""
    from web.editor.templates import workflow

    return dict(json.loads(workflow(name)))


def editor_url(here: Installation, project: str) -> str:
    """Where the project's editor is. Raises ProjectNotFound, PlatformNotRunning."""
    _project(here, project)
    return f"{here.require_running('the editor').url}/projects/{project}/editor/"


def _project(here: Installation, name: str) -> Project:
    from workstation.project import read_project

    return read_project(here.home, name)[0]
