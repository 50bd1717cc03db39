"""Python packages of a workstation."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, status
from pydantic import BaseModel, ConfigDict, Field

from web.api.person import Here
from web.plain import plain
from web.workstations import add_packages, list_packages, plan_packages, remove_packages

router = APIRouter(prefix="/projects/{project}/dependencies", tags=["dependencies"])


class PackagesWanted(BaseModel):
    """Requirements as pip writes them."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"requirements": ["einops>=0.8"]}]}
    )
    requirements: Annotated[list[str], Field(min_length=1)]
    accept: Annotated[list[str], Field(description="Protected packages that may be changed.")] = []


@router.get("")
def all_packages(project: str, here: Here) -> Any:
    """Installed packages, each with where it comes from: the workstation or its base."""
    return plain(list_packages(here, project))


@router.post("/plan")
def plan(project: str, wanted: PackagesWanted, here: Here) -> Any:
    """What installing would add, change and break. Changes nothing."""
    return plain(plan_packages(here, project, wanted.requirements))


@router.post("", status_code=status.HTTP_201_CREATED)
def add(project: str, wanted: PackagesWanted, here: Here) -> Any:
    """Install packages, or change nothing."""
    return plain(add_packages(here, project, wanted.requirements, accept=tuple(wanted.accept)))


@router.delete("/{package}", status_code=status.HTTP_204_NO_CONTENT)
def remove(project: str, package: str, here: Here) -> None:
    """Remove one package of the workstation."""
    remove_packages(here, project, [package])
