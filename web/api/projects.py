"""Projects: one workstation and one online service under one name."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from fastapi import APIRouter, status
from pydantic import BaseModel, ConfigDict, Field, JsonValue

from web.api.person import Here
from web.projects import remove_everything
from workstation.engines import EngineChoice
from workstation.project import ProjectFile, create_project, list_projects, read_project

router = APIRouter(tags=["projects"])
EXAMPLES: list[JsonValue] = [
    {"name": "portraits"},
    {"name": "video", "engine": {"kind": "comfyui", "source": "/srv/ComfyUI"}, "environment": "isolated"},
]


class EngineAnswer(BaseModel):
    """Which main program a workstation runs."""

    model_config = ConfigDict(from_attributes=True)
    kind: Literal["builtin", "comfyui"] = "builtin"
    source: Annotated[str | None, Field(description="Path or git URL of a ComfyUI checkout.")] = None
    commit: str | None = None


class ProjectWanted(BaseModel):
    """A project to make."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": EXAMPLES})
    name: str
    engine: EngineAnswer = EngineAnswer()
    base: str = "default"
    environment: Literal["layered", "isolated"] = "layered"


class ProjectAnswer(BaseModel):
    """A project as it describes itself."""

    model_config = ConfigDict(from_attributes=True)
    name: str
    engine: EngineAnswer
    base: str
    environment: str
    created_at: datetime


@router.get("/projects", response_model=list[ProjectAnswer])
def all_projects(here: Here) -> list[ProjectFile]:
    """All projects of this home."""
    return [read_project(here.home, name)[1] for name in list_projects(here.home)]


@router.post("/projects", response_model=ProjectAnswer, status_code=status.HTTP_201_CREATED)
def create(wanted: ProjectWanted, here: Here) -> ProjectFile:
    """Make a project with its workstation. It exists whole or not at all."""
    engine = EngineChoice(wanted.engine.kind, wanted.engine.source, wanted.engine.commit)
    create_project(here.home, wanted.name, engine=engine, base=wanted.base, environment=wanted.environment)
    return read_project(here.home, wanted.name)[1]


@router.get("/projects/{project}", response_model=ProjectAnswer)
def show(project: str, here: Here) -> ProjectFile:
    """One project."""
    return read_project(here.home, project)[1]


@router.delete("/projects/{project}", status_code=status.HTTP_204_NO_CONTENT)
def remove(project: str, here: Here) -> None:
    """Remove a project with its workstation, snapshots and service. Models stay."""
    remove_everything(here, project)
