"""Workflows that were saved in a project's editor, and the templates of its gallery."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Body, Query, status

from web.api.person import Here
from web.plain import plain
from web.workflows import (
    exported,
    save_document,
    saved_document,
    saved_workflows,
    template_document,
    workflow_templates,
)

router = APIRouter(tags=["workflows"])
SAVED = "/projects/{project}/workflows"


@router.get(SAVED)
def list_all(project: str, here: Here) -> Any:
    """The saved workflows by name; `format` is `editor` or `api`."""
    return plain(saved_workflows(here, project))


@router.get(SAVED + "/{name:path}")
def one(
    project: str,
    name: str,
    here: Here,
    format: Annotated[Literal["saved", "api"], Query(description="api: as engines run it")] = "saved",
) -> Any:
    """A workflow as it was saved, or in API format, for which the workstation must run."""
    return exported(here, project, name) if format == "api" else saved_document(here, project, name)


@router.put(SAVED + "/{name:path}", status_code=status.HTTP_204_NO_CONTENT)
def save(project: str, name: str, here: Here, document: Annotated[dict[str, Any], Body()]) -> None:
    """Save a workflow of either format, over one of the same name."""
    save_document(here, project, name, document)


@router.get("/workflow-templates")
def templates() -> Any:
    """The templates of the editor's gallery, with the models that each names."""
    return plain(workflow_templates())


@router.get("/workflow-templates/{name}")
def template(name: str) -> Any:
    """A template in the editor's format."""
    return template_document(name)
